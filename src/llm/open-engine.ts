import type { Checkpoint } from '../model/checkpoint.ts'
import type { Drafter } from './drafts/drafter.ts'
import { openModelDrafter } from './drafts/model-drafter.ts'
import { promptLookupDrafter } from './drafts/prompt-lookup.ts'
import type { EngineOptions } from './engine-options.ts'
import { LocalEngine } from './local-engine.ts'
import { type ModelParts, openParts } from './open-parts.ts'
import { TokenSampler } from './token-sampler.ts'

/**
 * A model ready to generate: opens `model` (a Hugging Face folder, a .gguf file, or a `Checkpoint`, which the engine then
 * closes), puts its weights on the device and allocates all that generation will ever take there, as `planEngine` says.
 *
 * Rejects with `argument` (options out of range, naming the field), `format` and `io` (files), `memory` and `limit` (what does
 * not fit); then nothing stays allocated.
 */
export async function openEngine(model: string | Checkpoint, options: EngineOptions = {}): Promise<LocalEngine> {
  const parts = await openParts(model, options, 'generate')
  try {
    const sampler = new TokenSampler(parts.device, parts.runner, parts.plan.options.maxSequences)
    const drafter = await drafterOf(parts, options)
    return new LocalEngine(options.name ?? lastPart(parts.checkpoint.source), parts, sampler, drafter)
  } catch (error) {
    await parts.release()
    throw error
  }
}

async function drafterOf({ plan, device, checkpoint }: ModelParts, options: EngineOptions): Promise<Drafter | null> {
  const { promptLookup, draftModel, contextLength } = plan.options
  if (promptLookup) return promptLookupDrafter({ match: 3, ...promptLookup })
  if (!draftModel) return null
  const { tokens, model } = draftModel
  return openModelDrafter(
    model,
    { tokens, vocabSize: checkpoint.spec.vocabSize },
    { ...options, device, contextLength },
  )
}

/** "books-recall-16m" of "models/books-recall-16m.gguf" */
function lastPart(source: string): string {
  const name = source.split(/[/\\]/).findLast((part) => part !== '') ?? source
  return name.replace(/\.gguf$/, '')
}
