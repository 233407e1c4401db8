import { PageCache } from '../cache/page-cache.ts'
import { type Device, type DeviceKind, openDevice } from '../device/index.ts'
import type { Checkpoint } from '../model/checkpoint.ts'
import { DecoderRunner } from '../model/decoder-runner.ts'
import { loadDecoderWeights } from '../model/decoder-weights.ts'
import { openCheckpoint } from '../model/open-checkpoint.ts'
import type { Engine } from './engine.ts'
import type { EngineOptions } from './engine-options.ts'
import { LocalEngine } from './local-engine.ts'
import { planEngine, policyOf } from './plan-engine.ts'
import { TokenSampler } from './token-sampler.ts'

/**
 * A model ready to generate: opens `model` (a Hugging Face folder, a .gguf file, or a `Checkpoint`, which the engine then
 * closes), puts its weights on the device and allocates all that generation will ever take there, as `planEngine` says.
 *
 * Rejects with `argument` (options out of range, naming the field), `format` and `io` (files), `memory` and `limit` (what does
 * not fit); then nothing stays allocated.
 */
export async function openEngine(model: string | Checkpoint, options: EngineOptions = {}): Promise<Engine> {
  const checkpoint = typeof model === 'string' ? await openCheckpoint(model, contextOf(options)) : model
  const owned: { dispose(): void }[] = []
  try {
    const device = await deviceOf(options, owned)
    const plan = planEngine(device, checkpoint, options)
    const own = <T extends { dispose(): void }>(thing: T): T => {
      owned.unshift(thing)
      return thing
    }
    const weights = own(await loadDecoderWeights(device, checkpoint, { maxPositions: plan.options.contextLength }))
    const cache = own(new PageCache(device, plan.cache))
    const { pools, pageTable, maxTokens } = cache
    const runner = own(
      new DecoderRunner(device, weights, { pools, pageTable, policy: policyOf(plan.cache), maxTokens }, plan.limits),
    )
    const sampler = own(new TokenSampler(device, runner, plan.options.maxSequences))
    return new LocalEngine({
      name: options.name ?? lastPart(checkpoint.source),
      checkpoint,
      plan,
      cache,
      runner,
      sampler,
      release: () => {
        for (const thing of owned.splice(0)) thing.dispose()
      },
    })
  } catch (error) {
    for (const thing of owned) thing.dispose()
    await checkpoint.close()
    throw error
  }
}

function contextOf({ contextLength }: EngineOptions): { contextLength?: number } {
  return contextLength === undefined ? {} : { contextLength }
}

async function deviceOf(options: EngineOptions, owned: { dispose(): void }[]): Promise<Device> {
  const { device } = options
  if (typeof device === 'object') return device
  const opened = await openDevice(device as DeviceKind | undefined, options.deviceOptions)
  owned.push(opened)
  return opened
}

/** "books-16m" of "models/books-16m.gguf" */
function lastPart(source: string): string {
  const name = source.split(/[/\\]/).findLast((part) => part !== '') ?? source
  return name.replace(/\.gguf$/, '')
}
