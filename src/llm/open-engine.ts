import type { Checkpoint } from '../model/checkpoint.ts'
import { shortName } from '../model/source/model-name.ts'
import type { ModelSource } from '../model/source/resolve-model-source.ts'
import { checkFields } from '../tile/index.ts'
import type { Drafter } from './drafts/drafter.ts'
import { type EngineOptions, engineOptionFields } from './engine-options.ts'
import { LocalEngine } from './local-engine.ts'
import { type ModelParts, openParts } from './open-parts.ts'
import { TokenSampler } from './token-sampler.ts'

/**
 * A model ready to generate: opens `model`, puts its weights on the device and allocates all that generation will ever take
 * there, as `planEngine` says. In Node a path of a Hugging Face folder or a .gguf file; everywhere `hf:owner/name`, a URL, Files,
 * handles, sources of bytes (`ModelSource`) or a `Checkpoint`, which the engine then closes. What is downloaded tells its
 * progress, and is kept: see the options.
 *
 * Rejects with `argument` (options out of range, naming the field), `format` and `io` (files), `memory` and `limit` (what does
 * not fit), `capacity` (no room to store it), `cancelled`; then nothing stays allocated.
 */
export async function openEngine(model: ModelSource | Checkpoint, options: EngineOptions = {}): Promise<LocalEngine> {
  // before anything is downloaded for them
  checkFields('openEngine', 'options', options, engineOptionFields)
  const parts = await openParts(model, options, 'generate')
  try {
    const sampler = new TokenSampler(parts.device, parts.runner, parts.plan.options.maxSequences)
    const drafter = await drafterOf(parts, options)
    return new LocalEngine(options.name ?? shortName(parts.checkpoint.source), parts, sampler, drafter)
  } catch (error) {
    await parts.release()
    throw error
  }
}

async function drafterOf({ plan, device, checkpoint }: ModelParts, options: EngineOptions): Promise<Drafter | null> {
  const { promptLookup, draftModel, contextLength } = plan.options
  if (promptLookup) {
    const { promptLookupDrafter } = await import('./drafts/prompt-lookup.ts')
    return promptLookupDrafter({ match: 3, ...promptLookup })
  }
  if (!draftModel) return null
  const { tokens, model } = draftModel
  // what was said of the one model's file is not said of the other's
  const { sha256: _, revision: __, adapters: ___, ...shared } = options
  const { openModelDrafter } = await import('./drafts/model-drafter.ts')
  return openModelDrafter(model, { tokens, vocabSize: checkpoint.spec.vocabSize }, { ...shared, device, contextLength })
}
