import type { Device, Tensor } from '../../device/device.ts'
import {
  checkFields,
  type FieldsOf,
  FoveaError,
  type Kernel,
  type StorageDType,
  type TensorSpec,
} from '../../tile/index.ts'
import { gatedLinearGradientChunks, gatedLinearGradients } from './gated-linear-gradient-chunks.ts'
import type { GatedLinearGradientSpec } from './gated-linear-gradient-spec.ts'
import { gatedLinearStateGradients, gatedLinearStates } from './gated-linear-gradient-states.ts'

// The backward of gated linear attention (Yang et al., 2023, arXiv 2312.06635, section 4.3 and appendix C), in chunks. With
// S_t = diag(exp(g_t)) S_(t−1) + k_tᵀ v_t, o_t = scale · q_t S_t, and G_t the gradient of S_t:
//
//   G_t = scale · q_tᵀ dO_t + diag(exp(g_(t+1))) G_(t+1)            G after the last token: dFinalState
//   dq_t = scale · dO_t S_tᵀ     dk_t = v_t G_tᵀ     dv_t = k_t G_t     dg_t = rowsum(exp(g_t) ⊙ S_(t−1) ∘ G_t)
//
// Two kernels go through the chunks of each head, one each way, and store S and G between them; the third makes the gradients,
// every chunk for itself (in several runs where the adapter binds few buffers). Every exponent is a sum of logDecay over a run of tokens, as in the forward.

export interface GatedLinearAttentionBackwardOptions {
  readonly query: Tensor // [B, T, H, D]
  readonly key: Tensor // [B, T, H, D]
  readonly value: Tensor // [B, T, H, Dv]
  readonly logDecay: Tensor // [B, T, H, D] or [B, T, H]
  readonly initialState?: Tensor // f32 [N, H, D, Dv]
  readonly dOutput: Tensor // [B, T, H, Dv]
  /** zero by default */
  readonly dFinalState?: Tensor // f32 [N, H, D, Dv]
  readonly dQuery: Tensor // as query
  readonly dKey: Tensor // as key
  readonly dValue: Tensor // as value
  /** none for decays that are constant, as in retention */
  readonly dLogDecay?: Tensor // as logDecay
  readonly dInitialState?: Tensor // f32 [N, H, D, Dv]
  readonly scratch: { readonly states: Tensor; readonly stateGradients: Tensor }
  /** 1 / √D by default */
  readonly scale?: number
  /** bounds of packed sequences on the device, i32 [N + 1] from 0 to T; B is then 1 */
  readonly cuSeqlens?: Tensor
  /** tokens of a chunk, as the scratch was sized for; by default 32, and 16 for heads wider than 112 */
  readonly chunk?: GatedLinearChunk
}

export type GatedLinearChunk = 8 | 16 | 32 | 64

/** 32 tokens where a running sum of a chunk [chunk, D] fits the workgroup memory that every adapter has, else 16. */
function defaultChunk(headDim: number): GatedLinearChunk {
  return headDim <= 112 ? 32 : 16
}

/**
 * Gradients of `gatedLinearAttention` (equations above), replacing what the d… tensors held. `query`, `key`, `value`, `dOutput`
 * and their gradients have one dtype (f32, f16, bf16), `dLogDecay` that of `logDecay`; states are f32, and so is what is computed.
 * Sync and allocates nothing. Two runs agree in every bit. Throws `shape`, `dtype` and `argument`, and what `Device.run` throws.
 */
export function gatedLinearAttentionBackward(device: Device, options: GatedLinearAttentionBackwardOptions): void {
  checkFields('gatedLinearAttentionBackward', 'options', options, gatedLinearAttentionBackwardFields)
  const { initialState, dFinalState, dInitialState, dLogDecay, cuSeqlens, scratch, scale, chunk, ...required } = options
  const optional = { initialState, dFinalState, dInitialState, dLogDecay, cuSeqlens }
  const present = Object.fromEntries(Object.entries(optional).filter(([, tensor]) => tensor)) as Record<string, Tensor>
  const tensors: Readonly<Record<string, Tensor>> = { ...required, ...present, ...scratch }
  const spec: GatedLinearGradientSpec = {
    ...required,
    ...scratch,
    initialState: initialState ?? null,
    dFinalState: dFinalState ?? null,
    dInitialState: dInitialState ?? null,
    dLogDecay: dLogDecay ?? null,
    cuSeqlens: cuSeqlens ?? null,
    scale: scale ?? 1 / Math.sqrt(options.query.shape[3] ?? 1),
    chunk: chunk ?? defaultChunk(options.query.shape[3] ?? 1),
    tileV: device.kind === 'webgpu' ? 32 : Math.min(128, 16 * Math.ceil((options.value.shape[3] ?? 1) / 16)),
  }
  const most = device.info.limits.maxStorageBuffersPerShaderStage ?? Number.POSITIVE_INFINITY
  for (const kernel of gatedLinearAttentionBackwardKernels(spec, most)) {
    const named = kernel.program.params.flatMap(({ kind, name }) =>
      kind === 'tensor' ? [[name, tensors[name] as Tensor]] : [],
    )
    device.run(kernel, Object.fromEntries(named))
  }
}

/** Sizes of the scratch, f32: two states per chunk. `sequences` counts packed ones, or is the batch size. */
export function gatedLinearAttentionBackwardScratch(spec: {
  readonly query: Pick<TensorSpec, 'shape'>
  readonly value: Pick<TensorSpec, 'shape'>
  readonly sequences: number
  readonly packed?: boolean
  readonly chunk?: GatedLinearChunk
}): Readonly<Record<'states' | 'stateGradients', readonly number[]>> {
  checkFields('gatedLinearAttentionBackwardScratch', 'spec', spec, gatedLinearAttentionBackwardScratchFields)
  const { query, value, sequences, packed = false, chunk = defaultChunk(query.shape[3] ?? 1) } = spec
  const [, T = 0, H = 0, D = 0] = query.shape
  const slots = packed ? Math.floor(T / chunk) + sequences : sequences * Math.ceil(T / chunk)
  const shape = [slots, H, D, value.shape[3] ?? 0]
  return { states: shape, stateGradients: shape }
}

/** The kernels of `gatedLinearAttentionBackward`, in order, of at most `most` tensors. Throws `shape`, `dtype` and `argument`. */
export function gatedLinearAttentionBackwardKernels(
  spec: GatedLinearGradientSpec,
  most = Number.POSITIVE_INFINITY,
): readonly Kernel[] {
  const [, T = 0, H = 0] = spec.query.shape
  const sequences = checkSpec(spec)
  const scalars = { scale: spec.scale }
  const Dv = spec.value.shape[3] as number
  const [along, chunks] = [Math.ceil(Dv / spec.tileV), Math.ceil(T / spec.chunk)]
  const inputs = spec.cuSeqlens ? 8 : 7
  const wanted = gatedLinearGradients.filter((name) => spec[name])
  const each = Math.max(1, Math.min(most - inputs, wanted.length))
  const parts = Array.from({ length: Math.ceil(wanted.length / each) }, (_, part) =>
    wanted.slice(part * each, (part + 1) * each),
  )
  return [
    { program: gatedLinearStates(spec), grid: [along, H, sequences], scalars: {} },
    { program: gatedLinearStateGradients(spec), grid: [along, H, sequences], scalars },
    ...parts.map((outputs): Kernel => {
      return { program: gatedLinearGradientChunks(spec, outputs), grid: [chunks, H, sequences], scalars }
    }),
  ]
}

/** Checks that tensors fit together; returns the number of sequences. */
function checkSpec(spec: GatedLinearGradientSpec): number {
  const { query, value, logDecay, cuSeqlens, scale: _, chunk, tileV: __, ...rest } = spec
  const tensors: Readonly<Record<string, TensorSpec | null>> = { query, value, logDecay, cuSeqlens, ...rest }
  const describe = ([name, t]: [string, TensorSpec | null]) => (t ? [`${name} ${t.dtype} [${t.shape.join(', ')}]`] : [])
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string) =>
    new FoveaError(
      code,
      'gatedLinearAttentionBackward',
      `${what}, got ${Object.entries(tensors).flatMap(describe).join(', ')}`,
    )
  if (query.shape.length !== 4 || value.shape.length !== 4)
    throw fail('shape', 'query and value must have 4 dimensions')
  const [B, T, H, D] = query.shape as [number, number, number, number]
  const Dv = value.shape[3] as number
  if (D < 1 || D > 256 || Dv < 1 || Dv > 256) throw fail('shape', 'head widths must be 1 to 256')
  if (![8, 16, 32, 64].includes(chunk)) throw fail('argument', `chunk must be 8, 16, 32 or 64, not ${chunk}`)
  const sequences = cuSeqlens ? (cuSeqlens.shape[0] ?? 0) - 1 : B
  if (cuSeqlens && (B !== 1 || cuSeqlens.shape.length !== 1 || sequences < 0))
    throw fail('shape', 'packed sequences need a batch of 1 and cuSeqlens [N + 1]')
  if (cuSeqlens && cuSeqlens.dtype !== 'i32') throw fail('dtype', 'cuSeqlens must be i32')
  const decays = logDecay.shape.length === 4 ? [B, T, H, D] : [B, T, H]
  const state = [sequences, H, D, Dv]
  const packed = cuSeqlens !== null
  const { states } = gatedLinearAttentionBackwardScratch({
    query,
    value,
    sequences,
    packed,
    chunk: chunk as GatedLinearChunk,
  })
  const wanted: Readonly<Record<string, { shape: readonly number[]; dtype: StorageDType }>> = {
    ...named(['key', 'dQuery', 'dKey'], [B, T, H, D], query.dtype),
    ...named(['value', 'dOutput', 'dValue'], [B, T, H, Dv], query.dtype),
    ...named(['logDecay', 'dLogDecay'], decays, logDecay.dtype),
    ...named(['initialState', 'dFinalState', 'dInitialState'], state, 'f32'),
    ...named(['states', 'stateGradients'], states, 'f32'),
  }
  for (const [name, { shape, dtype }] of Object.entries(wanted)) {
    const tensor = tensors[name]
    if (!tensor) continue
    if (tensor.shape.join() !== shape.join()) throw fail('shape', `${name} must be [${shape.join(', ')}]`)
    if (tensor.dtype !== dtype) throw fail('dtype', `${name} must be ${dtype}`)
    if (tensor.strides.at(-1) !== 1 && (shape.at(-1) as number) > 1)
      throw fail('shape', `the last dimension of ${name} must be contiguous`)
  }
  for (const [name, { dtype }] of Object.entries({ query, logDecay }))
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16') throw fail('dtype', `${name} must be f32, f16 or bf16`)
  return sequences
}

function named(names: readonly string[], shape: readonly number[], dtype: StorageDType) {
  return Object.fromEntries(names.map((name) => [name, { shape, dtype }]))
}

const gatedLinearAttentionBackwardFields: FieldsOf<GatedLinearAttentionBackwardOptions> = {
  query: true,
  key: true,
  value: true,
  logDecay: true,
  initialState: true,
  dOutput: true,
  dFinalState: true,
  dQuery: true,
  dKey: true,
  dValue: true,
  dLogDecay: true,
  dInitialState: true,
  scratch: true,
  scale: true,
  cuSeqlens: true,
  chunk: true,
}

const gatedLinearAttentionBackwardScratchFields: FieldsOf<Parameters<typeof gatedLinearAttentionBackwardScratch>[0]> = {
  query: true,
  value: true,
  sequences: true,
  packed: true,
  chunk: true,
}
