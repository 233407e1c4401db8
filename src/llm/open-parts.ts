import { PageCache } from '../cache/page-cache.ts'
import { type Device, openDevice } from '../device/index.ts'
import type { adaptedCheckpoint } from '../model/adapters/adapted-checkpoint.ts'
import type { Checkpoint } from '../model/checkpoint.ts'
import { DecoderRunner } from '../model/decoder-runner.ts'
import { loadDecoderWeights } from '../model/decoder-weights.ts'
import { type CheckpointOptions, openCheckpoint } from '../model/open-checkpoint.ts'
import { quantisedCheckpoint } from '../model/quantised-checkpoint.ts'
import type { ModelSource } from '../model/source/resolve-model-source.ts'
import { sourceOptionFields } from '../model/source/source-options.ts'
import { checkLoadOptions, type EngineOptions } from './engine-options.ts'
import { type EnginePlan, type Purpose, planEngine, policyOf } from './plan-engine.ts'

/** A model on a device with its cache, ready to run steps; `release` frees what was made for it. */
export interface ModelParts {
  readonly device: Device
  readonly checkpoint: Checkpoint
  readonly plan: EnginePlan
  readonly cache: PageCache
  readonly runner: DecoderRunner
  release(): Promise<void>
}

/**
 * Opens a model (see `ModelSource`; a `Checkpoint` is then closed by `release`), puts its weights on the device, and allocates what `planEngine` says. Rejects with what `openCheckpoint`, `planEngine` and the device
 * throw; then nothing stays allocated or open.
 */
export async function openParts(
  model: ModelSource | Checkpoint,
  options: EngineOptions,
  purpose: Purpose,
): Promise<ModelParts> {
  const checkpoint = await preparedCheckpoint(model, options)
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
    const wanted = options.device
    const device = typeof wanted === 'object' ? wanted : own(await openDevice(wanted, options.deviceOptions))
    const plan = planEngine(device, checkpoint, options, purpose)
    const weights = own(await loadDecoderWeights(device, checkpoint, { maxPositions: plan.options.contextLength }))
    const cache = own(new PageCache(device, plan.cache))
    const { pools, pageTable, maxTokens } = cache
    const policy = policyOf(plan.cache)
    const runner = own(new DecoderRunner(device, weights, { pools, pageTable, policy, maxTokens }, plan.limits))
    return { device, checkpoint, plan, cache, runner, release }
  } catch (error) {
    await release()
    throw error
  }
}

/** The model as its weights are loaded: with adapters, and quantised, where the options say so. */
export async function preparedCheckpoint(model: ModelSource | Checkpoint, options: EngineOptions): Promise<Checkpoint> {
  checkLoadOptions('openEngine', options)
  const { adapters = [], weights } = options
  const opened = isCheckpoint(model) ? model : await openCheckpoint(model, checkpointOptions(options))
  try {
    const adapted = adapters.length > 0 ? await withAdapters(opened, adapters) : opened
    return weights ? quantisedCheckpoint(adapted, weights) : adapted
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** Those of an engine's options that say how its model is found and read. */
export function checkpointOptions(options: EngineOptions): CheckpointOptions {
  const names: readonly string[] = [...Object.keys(sourceOptionFields), 'contextLength', 'ignoreFields']
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.includes(name)))
}

export function isCheckpoint(model: ModelSource | Checkpoint): model is Checkpoint {
  return typeof (model as Checkpoint).matrixInfo === 'function'
}

/** Loaded for those who ask for it: it knows what every architecture calls its layers. */
async function withAdapters(...args: Parameters<typeof adaptedCheckpoint>): Promise<Checkpoint> {
  const loaded = await import('../model/adapters/adapted-checkpoint.ts')
  return loaded.adaptedCheckpoint(...args)
}
