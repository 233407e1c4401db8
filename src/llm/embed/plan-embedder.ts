import type { Device } from '../../device/device.ts'
import {
  checkEncoderBuffers,
  type EncoderLimits,
  encoderBufferBytes,
  encoderBufferSpecs,
} from '../../model/encoders/encoder-buffers.ts'
import type { EncoderCheckpoint } from '../../model/encoders/encoder-checkpoint.ts'
import { encoderBytes } from '../../model/encoders/encoder-weights.ts'
import { defaultStepDTypes } from '../../model/plan-runner.ts'
import { checkFields, FoveaError } from '../../tile/index.ts'
import { type EmbedderOptions, embedderOptionFields } from './embedder-options.ts'

/** What an embedder or reranker allocates on its device, in bytes, known before it allocates. */
export interface EmbedderMemoryPlan {
  /** weights as stored, tables of positions */
  readonly weights: number
  /** buffers of the largest step */
  readonly workspace: number
  readonly total: number
  readonly maxTokens: number
  readonly batchTokens: number
}

export interface EmbedderPlan {
  readonly limits: EncoderLimits
  readonly maxTokens: number
  readonly compute: 'f32' | 'f16'
  readonly memory: EmbedderMemoryPlan
}

/** tokens that are planned for where nobody asks for more: positions cost buffers whether texts reach them or not */
const usualTokens = 2048
/** texts of a step: each has a pooled row */
const mostTexts = 256

/**
 * What `openEmbedder` will allocate for a checkpoint (`openEncoderCheckpoint`) on a device. Nothing is read but the sizes of
 * weights. Throws `argument` for options out of range, `unsupported` for layers that differ in heads, `limit` and `memory` for
 * what the device cannot hold.
 */
export function planEmbedder(
  device: Device,
  checkpoint: EncoderCheckpoint,
  options: EmbedderOptions = {},
  where = 'planEmbedder',
): EmbedderPlan {
  checkFields(where, 'options', options, embedderOptionFields)
  const { spec, head, settings } = checkpoint
  checkShapes(where, checkpoint)
  const whole = (name: string, value: number, most: number, why = '') => {
    if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value
    throw new FoveaError('argument', where, `${name} must be a whole number from 1 to ${most}, got ${value}${why}`)
  }
  const stated = Math.min(settings.maxTokens ?? spec.maxPositions, spec.maxPositions, usualTokens)
  const why = ': the positions of the model end there'
  const maxTokens = whole('maxTokens', options.maxTokens ?? stated, spec.maxPositions, why)
  const tokens = Math.max(maxTokens, whole('batchTokens', options.batchTokens ?? usualTokens, 2 ** 20))
  const limits = { tokens, texts: Math.min(mostTexts, tokens) }
  const { compute } = defaultStepDTypes(device)
  checkEncoderBuffers(where, device, encoderBufferSpecs(spec, head, limits, compute), limits)
  const weights = encoderBytes(device, checkpoint, spec, head, maxTokens)
  const workspace = encoderBufferBytes(spec, head, limits, compute)
  const total = weights + workspace
  const free = (device.info.limits.maxBytes ?? Number.POSITIVE_INFINITY) - device.memory.allocated
  if (total > free)
    throw new FoveaError(
      'memory',
      where,
      `${checkpoint.source} takes ${weights} bytes of weights and ${workspace} for steps of ${tokens} tokens, the ${device.kind} device has ${free} left`,
    )
  return { limits, maxTokens, compute, memory: { weights, workspace, total, maxTokens, batchTokens: tokens } }
}

function checkShapes(where: string, { spec, source }: EncoderCheckpoint): void {
  const shapes = new Set(
    spec.layers.map(({ attention: { numHeads, numKvHeads, headDim }, mlp }) =>
      [numHeads, numKvHeads, headDim, mlp.size].join(' × '),
    ),
  )
  if (shapes.size !== 1)
    throw new FoveaError(
      'unsupported',
      where,
      `${source}: layers must have one number and width of heads and one MLP width, got ${[...shapes].join('; ')}`,
    )
}
