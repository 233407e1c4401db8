import { type Device, openDevice } from '../../device/index.ts'
import { type EncoderCheckpoint, openEncoderCheckpoint } from '../../model/encoders/encoder-checkpoint.ts'
import { EncoderRunner } from '../../model/encoders/encoder-runner.ts'
import { loadEncoderWeights } from '../../model/encoders/encoder-weights.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import { sourceOptionFields } from '../../model/source/source-options.ts'
import type { EmbedderOptions, EncoderOptions } from './embedder-options.ts'
import { type EmbedderPlan, planEmbedder } from './plan-embedder.ts'

/** An encoder on a device, ready to run steps; `release` frees what was made for it. */
export interface EncoderParts {
  readonly device: Device
  readonly checkpoint: EncoderCheckpoint
  readonly plan: EmbedderPlan
  readonly runner: EncoderRunner
  release(): Promise<void>
}

/**
 * Opens an encoder and puts it on a device. `check` sees the checkpoint before anything is allocated. Rejects with what
 * `openEncoderCheckpoint`, `planEmbedder`, `check` and the device throw; then nothing stays allocated or open.
 */
export async function openEncoderParts(
  where: 'openEmbedder' | 'openReranker',
  model: ModelSource | EncoderCheckpoint,
  options: EncoderOptions,
  check: (checkpoint: EncoderCheckpoint) => void,
): Promise<EncoderParts> {
  const purpose = where === 'openReranker' ? 'score' : 'embed'
  const checkpoint = isEncoderCheckpoint(model)
    ? model
    : await openEncoderCheckpoint(model, encoderCheckpointOptions(options), purpose)
  const owned: { dispose(): void }[] = []
  const own = <T extends { dispose(): void }>(thing: T): T => {
    owned.unshift(thing)
    return thing
  }
  const release = async () => {
    for (const thing of owned.splice(0)) thing.dispose()
    await checkpoint.close()
  }
  try {
    check(checkpoint)
    const wanted = options.device
    const device = typeof wanted === 'object' ? wanted : own(await openDevice(wanted, options.deviceOptions))
    const { maxTokens, batchTokens, signal } = options
    const sizes = { ...(maxTokens !== undefined && { maxTokens }), ...(batchTokens !== undefined && { batchTokens }) }
    const plan = planEmbedder(device, checkpoint, sizes satisfies EmbedderOptions, where)
    const load = { maxTokens: plan.maxTokens, ...(signal && { signal }) }
    const weights = own(await loadEncoderWeights(device, checkpoint, checkpoint.spec, checkpoint.head, load))
    const runner = own(new EncoderRunner(device, weights, plan.limits, plan.compute))
    return { device, checkpoint, plan, runner, release }
  } catch (error) {
    await release()
    throw error
  }
}

/** Those of the options that say how a model is found and read. */
export function encoderCheckpointOptions(options: EncoderOptions) {
  const names: readonly string[] = [...Object.keys(sourceOptionFields), 'ignoreFields']
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.includes(name)))
}

function isEncoderCheckpoint(model: ModelSource | EncoderCheckpoint): model is EncoderCheckpoint {
  return typeof (model as EncoderCheckpoint).matrixInfo === 'function'
}
