import type { Device, Tensor } from '../device/device.ts'
import type { Tiling } from '../device/tuning.ts'
import { checkFields, type FieldsOf, FoveaError, type TensorSpec } from '../tile/index.ts'
import type { BlockMask } from './block-mask.ts'
import { checkDropout, type Dropout } from './dropout.ts'
import type { MaskMod, ScoreMod } from './hooks.ts'
import type { Normalizer } from './normalizers/normalizer.ts'
import { type AttentionShape, checkAttentionShape, describeSpec } from './softmax/attention-shape.ts'

/** What a call computes, apart from where its tensors lie. */
export interface AttentionOptions {
  /** true where query q may attend to key k; all pairs by default */
  readonly maskMod?: MaskMod
  /** changes scores, after `scale`; none by default */
  readonly scoreMod?: ScoreMod
  /** how scores become weights; softmax by default */
  readonly normalizer?: Normalizer
  /** factor of the scores; 1 / √headDim by default */
  readonly scale?: number
  /** drops weights after they were normalised, for training; none by default */
  readonly dropout?: Dropout
  /** packed sequences: bounds 0 … T of the queries of each sequence (host numbers); the batch size is then 1 */
  readonly cuSeqlensQ?: ArrayLike<number>
  /** the same for keys; by default those of the queries */
  readonly cuSeqlensK?: ArrayLike<number>
  /** a block pattern of your own */
  readonly blockMask?: BlockMask
  /** tile sizes; by default those that suit the device, and any others give the same result */
  readonly tiling?: Tiling
}

/** The fields of `AttentionOptions`, for the checks of all who take them. */
export const attentionOptionFields: FieldsOf<AttentionOptions> = {
  maskMod: true,
  scoreMod: true,
  normalizer: true,
  scale: true,
  dropout: true,
  cuSeqlensQ: true,
  cuSeqlensK: true,
  blockMask: true,
  tiling: true,
}

/** The inputs of `attention`. `headDim` and `valueDim` go up to 256; heads a multiple of the key/value heads. */
export interface AttentionRequest extends AttentionOptions {
  readonly query: Tensor // [B, T, H, D]
  readonly key: Tensor // [B, S, Hkv, D]
  readonly value: Tensor // [B, S, Hkv, Dv]
  /** one learned logit per head that joins the denominator: f32 [H] */
  readonly sinks?: Tensor
  /** where to write, instead of new tensors: query's dtype [B, T, H, Dv], and f32 [B, H, T] */
  readonly output?: Tensor
  readonly lse?: Tensor
}

/** The same with tensors that need not exist. */
export interface AttentionPlanRequest extends AttentionOptions {
  readonly query: TensorSpec
  readonly key: TensorSpec
  readonly value: TensorSpec
  readonly sinks?: TensorSpec
  readonly output?: TensorSpec
  readonly lse?: TensorSpec
}

/** Checks what does not need the device; throws in the name of `where`. */
export function checkRequest(where: string, request: AttentionPlanRequest): AttentionShape {
  const { query, key, value, sinks = null, output = null, lse = null, scale } = request
  if (scale !== undefined && !Number.isFinite(scale))
    throw new FoveaError('argument', where, `scale must be a finite number, got ${scale}`)
  if (request.blockMask && (request.cuSeqlensQ || request.cuSeqlensK))
    throw new FoveaError('unsupported', where, 'blockMask does not go with packed sequences (cuSeqlens)')
  if (request.tiling) checkTiling(where, request.tiling)
  if (request.dropout) checkDropout(where, request.dropout)
  for (const [name, spec] of Object.entries({ query, key, value, sinks, output, lse }))
    if (!isSpec(spec) && (spec !== null || isInput(name)))
      throw new FoveaError(
        'argument',
        where,
        `${name} must be a tensor, got ${spec === undefined || spec === null ? 'nothing' : typeof spec}`,
      )
  return checkAttentionShape(where, { query, key, value, sinks, output, lse })
}

const isInput = (name: string) => name === 'query' || name === 'key' || name === 'value'

function isSpec(spec: unknown): boolean {
  const { shape, strides } = (spec ?? {}) as Partial<TensorSpec>
  return Array.isArray(shape) && Array.isArray(strides)
}

/** Tiles larger than any device computes would only be found out by running out of memory. */
const largestTile = 1024

function checkTiling(where: string, tiling: Tiling): void {
  checkFields(where, 'tiling', tiling, tilingFields)
  const { tileQ, tileK, padTo } = tiling
  for (const [name, size] of Object.entries({ tileQ, tileK, padTo }))
    if (!Number.isInteger(size) || size < 1 || size > largestTile)
      throw new FoveaError('argument', where, `tiling.${name} must be an integer from 1 to ${largestTile}, got ${size}`)
}

const tilingFields: FieldsOf<Tiling> = { tileQ: true, tileK: true, padTo: true }

/** Checks that device and tensors are alive and belong together; throws `disposed` and `device` in the name of `where`. */
export function checkTensors(
  where: string,
  device: Device,
  tensors: Readonly<Record<string, Tensor | undefined>>,
): void {
  if (device.disposed) throw new FoveaError('disposed', where, `the ${device.kind} device was disposed`)
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor === undefined || tensor === null) continue
    if (!isSpec(tensor)) throw new FoveaError('argument', where, `${name} must be a tensor, got ${typeof tensor}`)
    if (tensor.device !== device && tensor.device !== device.rehearses)
      throw new FoveaError('device', where, `${name} ${describeSpec(tensor)} belongs to another device`)
    if (tensor.disposed) throw new FoveaError('disposed', where, `${name} ${describeSpec(tensor)} was disposed`)
  }
}
