import type { PageFormat } from '../attention/paged/page-pool.ts'
import { PageCache, type PageCacheSpec, pageCacheBytes } from '../cache/page-cache.ts'
import type { Device } from '../device/device.ts'
import type { Checkpoint } from '../model/checkpoint.ts'
import { decoderBytes } from '../model/decoder-bytes.ts'
import type { DecoderSpec } from '../model/decoder-spec.ts'
import { keptLayers } from '../model/kept-layers.ts'
import { defaultStepDTypes, planRunner, type RunnerLimits } from '../model/plan-runner.ts'
import { quantisedCheckpoint } from '../model/quantised-checkpoint.ts'
import { StepBuffers, type StepDTypes, stepBufferBytes } from '../model/step-buffers.ts'
import { valueWidth } from '../model/value-width.ts'
import { checkChoice } from '../tile/index.ts'
import { type CheckedEngineOptions, checkEngineOptions, type EngineOptions } from './engine-options.ts'
import { tokenSamplerBytes } from './token-sampler.ts'

/** What an engine allocates on its device, in bytes, known before it allocates. */
export interface MemoryPlan {
  /** weights as stored, and rotary tables */
  readonly weights: number
  /** keys and values of `cacheTokens`, and the page table */
  readonly cache: number
  /** buffers of the largest step, and the sampler's */
  readonly workspace: number
  /** weights, cache and buffers of a draft model */
  readonly draft: number
  readonly total: number
  readonly contextLength: number
  readonly cacheTokens: number
  readonly cacheFormat: PageFormat
  readonly maxSequences: number
  readonly chunkSize: number
}

/** An engine before it is made: its options in full, and what follows from them. */
export interface EnginePlan {
  readonly options: CheckedEngineOptions
  readonly cache: PageCacheSpec
  readonly limits: RunnerLimits
  readonly memory: MemoryPlan
}

/** What steps are for: drawing the next tokens, or scoring all tokens of a text. */
export type Purpose = 'generate' | 'score'

/** logits of a scoring step take at most about this many bytes */
const scoredLogitBytes = 64 * 1024 * 1024

/**
 * What `openEngine` will allocate for a checkpoint on a device; one with adapters is given as `adaptedCheckpoint` has it. Nothing is read but the sizes of weights. Throws `argument`
 * for options out of range, `unsupported` for a model that no runner takes, `limit` for a cache or buffers of a step that the
 * device holds in no tensor.
 */
export function planEngine(
  device: Device,
  checkpoint: Checkpoint,
  given: EngineOptions = {},
  purpose: Purpose = 'generate',
): EnginePlan {
  checkChoice('planEngine', 'the purpose', purpose, ['generate', 'score'])
  const { spec } = checkpoint
  const context = { ...given, contextLength: given.contextLength ?? believedPositions(checkpoint) }
  const options = checkEngineOptions('openEngine', context, spec.maxPositions, device.info.tier === 3 ? 2048 : 512)
  const dtypes = defaultStepDTypes(device)
  const format = options.cacheFormat ?? defaultFormat(device, dtypes)
  const { pageSize, contextLength, maxSequences, chunkSize } = options
  const maxPages = Math.ceil(contextLength / pageSize)
  const cache: PageCacheSpec = {
    layers: keptLayers(spec).map(({ attention }) => ({
      numKvHeads: attention.numKvHeads,
      headDim: attention.headDim,
      valueDim: valueWidth(attention),
      latent: attention.latent !== undefined,
    })),
    format,
    // the last pages of sequences that share the rest are their own
    pages: Math.max(maxPages, Math.ceil(options.cacheTokens / pageSize)) + maxSequences,
    rows: maxSequences,
    pageSize,
    maxPages,
    policy: options.cachePolicy ?? windowOfAll(spec),
    share: options.sharePrefixes,
    ...(dtypes.query === 'f16' && { recentDType: 'f16' as const }),
  }
  const decodeQueries = 1 + (options.promptLookup ?? options.draftModel ?? { tokens: 0 }).tokens
  const scored = Math.max(1, Math.min(chunkSize, Math.floor(scoredLogitBytes / (4 * spec.vocabSize))))
  const limits: RunnerLimits =
    purpose === 'score'
      ? { tokens: scored, rows: scored, sequences: 1, decodeQueries: 1 }
      : {
          tokens: Math.max(chunkSize, maxSequences * decodeQueries),
          rows: maxSequences * decodeQueries,
          sequences: maxSequences,
          decodeQueries,
        }
  const plan = planRunner(
    device,
    spec,
    { pageSize, policy: policyOf(cache), maxTokens: maxPages * pageSize },
    limits,
    dtypes,
  )
  rehearse(device, (rehearsal) => {
    new PageCache(rehearsal, cache)
    new StepBuffers(rehearsal, spec, plan.stepLimits, dtypes)
  })
  const loaded = given.weights ? quantisedCheckpoint(checkpoint, given.weights) : checkpoint
  const weights = decoderBytes(device, loaded, contextLength)
  const cacheBytes = pageCacheBytes(cache)
  const tail =
    purpose === 'score' ? 8 * limits.rows : tokenSamplerBytes(device.kind, limits.rows, maxSequences, spec.vocabSize)
  const workspace = stepBufferBytes(spec, plan.stepLimits, dtypes) + tail
  return {
    options,
    cache,
    limits,
    memory: {
      weights,
      cache: cacheBytes,
      workspace,
      draft: 0,
      total: weights + cacheBytes + workspace,
      contextLength,
      cacheTokens: cache.pages * pageSize,
      cacheFormat: format,
      maxSequences,
      chunkSize,
    },
  }
}

/** Throws the `limit` of what no tensor of the device can be, before a weight is read. */
function rehearse(device: Device, allocate: (rehearsal: Device) => void): void {
  const rehearsal = device.rehearsal()
  try {
    allocate(rehearsal)
  } finally {
    rehearsal.dispose()
  }
}

/**
 * Without a GPU bf16: half the bytes of f32 for a shift of each element, and 2e-4 nats (docs/LOG.md). GPUs that compute in f16
 * keep it; others have no cheap 16 bits.
 */
function defaultFormat({ kind }: Device, { query }: StepDTypes): PageFormat {
  if (query === 'f16') return 'f16'
  return kind === 'wasm' ? 'bf16' : 'f32'
}

/**
 * The context of an engine whose caller asks for none: the model's positions, as far as a file may be believed that can claim
 * any number of them and pays nothing for it: 2^20, or one for every 64 bytes of weights. More has to be asked for.
 */
function believedPositions({ spec, byteLength }: Checkpoint): number {
  return Math.min(spec.maxPositions, Math.max(2 ** 20, Math.floor(byteLength / 64)))
}

/** The policy of a cache as a runner takes it. */
export function policyOf({ policy }: PageCacheSpec): { readonly window: number; readonly sinks: number } | null {
  return policy ? { window: policy.window, sinks: policy.sinks ?? 0 } : null
}

/** Where every layer has a window, what the widest one leaves behind is not kept. */
function windowOfAll({ layers }: DecoderSpec): { window: number; sinks: number } | null {
  const windows = layers.map(({ attention: { window } }) => window ?? Number.POSITIVE_INFINITY)
  const widest = windows.reduce((most, window) => Math.max(most, window), 0)
  return Number.isFinite(widest) ? { window: widest, sinks: 0 } : null
}
