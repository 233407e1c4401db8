import type { Device, Tensor } from '../../device/device.ts'
import {
  checkChoice,
  checkFields,
  contiguousStrides,
  type FieldsOf,
  FoveaError,
  type Kernel,
  type StorageDType,
  type TensorSpec,
} from '../../tile/index.ts'
import { gatedLinearChunks } from './gated-linear-chunks.ts'
import type { GatedLinearAttentionSpec, GatedLinearForm } from './gated-linear-spec.ts'
import { gatedLinearTokens } from './gated-linear-tokens.ts'

// Yang, Wang, Shen, Panda, Kim: Gated Linear Attention Transformers with Hardware-Efficient Training, 2023,
// arXiv 2312.06635, equations 3 to 5; with one decay per token and head it is simple gated linear attention
// (Mamba-2, arXiv 2405.21060; RetNet, arXiv 2307.08621, when the decay is constant).
//
//   S_t = diag(exp(g_t)) S_(t−1) + k_tᵀ v_t        o_t = scale · q_t S_t
//
// `chunked` owns one sequence, head and tile of value columns, streams chunks of tokens and keeps S [D, tileV].
// Traffic: query, key and logDecay once per value tile; value, output and the states once.
// `recurrent` does the same token by token, for decoding.
// Decays: every exponent that is formed is a sum of logDecay over a run of tokens, so never positive: any logDecay ≤ 0 is
// exact to f32 rounding, from 0 to −∞ (below −10⁴ it counts as −10⁴, whose exp is 0). See docs/algorithms.

export interface GatedLinearAttentionOptions {
  readonly query: Tensor
  readonly key: Tensor
  readonly value: Tensor
  readonly logDecay: Tensor
  readonly initialState?: Tensor
  /** 1 / √D by default */
  readonly scale?: number
  /** bounds of packed sequences: [0, …, T] */
  readonly cuSeqlens?: ArrayLike<number>
  /** by default `chunked` for more than 8 tokens on a GPU, else `recurrent` */
  readonly form?: GatedLinearForm
}

/**
 * Gated linear attention (equation above). `query` and `key` are [B, T, H, D], `value` [B, T, H, Dv], all of one dtype (f32,
 * f16, bf16); `logDecay` (natural log, ≤ 0) is [B, T, H, D] or [B, T, H], f32 or that dtype; `initialState` [B, H, D, Dv] in f32,
 * zero by default. With `cuSeqlens` (N + 1 bounds) B is 1 and the states are [N, H, D, Dv], one per sequence. Computed in f32.
 * Returns `output` [B, T, H, Dv] in the query's dtype and `finalState` in f32.
 *
 * Throws `shape`, `dtype`, `argument` (cuSeqlens that do not start at 0, decrease or do not end at T), and what
 * `Device.run` throws.
 */
export function gatedLinearAttention(
  device: Device,
  options: GatedLinearAttentionOptions,
): { output: Tensor; finalState: Tensor } {
  checkFields('gatedLinearAttention', 'options', options, gatedLinearAttentionFields)
  const { query, key, value, logDecay, initialState, cuSeqlens } = options
  const [B = 0, T = 0, H = 0, D = 0] = query.shape
  const Dv = value.shape[3] ?? 0
  if (cuSeqlens) checkBounds(cuSeqlens, T)
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
  const planned = (shape: readonly number[], dtype: StorageDType) => ({
    dtype,
    shape,
    strides: contiguousStrides(shape),
    offset: 0,
  })
  const spec: GatedLinearAttentionSpec = {
    query,
    key,
    value,
    logDecay,
    initialState: initialState ?? null,
    cuSeqlens: cuSeqlens ? planned([sequences + 1], 'i32') : null,
    output: planned([B, T, H, Dv], query.dtype),
    finalState: planned([sequences, H, D, Dv], 'f32'),
    scale: options.scale ?? 1 / Math.sqrt(D),
    // a processor gains nothing from chunks: the state of a head lies in its cache
    form: options.form ?? (device.kind === 'webgpu' && T > 8 ? 'chunked' : 'recurrent'),
    ...gatedLinearTiles(device, D, Dv),
  }
  const kernel = gatedLinearAttentionKernel(spec)
  const bounds = cuSeqlens ? device.tensor(Int32Array.from(cuSeqlens), [sequences + 1]) : null
  const output = device.empty(spec.output.shape, spec.output.dtype)
  const finalState = device.empty(spec.finalState.shape, 'f32')
  const inputs = {
    query,
    key,
    value,
    logDecay,
    ...(initialState && { initialState }),
    ...(bounds && { cuSeqlens: bounds }),
  }
  device.run(kernel, { ...inputs, output, finalState })
  bounds?.dispose()
  return { output, finalState }
}

/**
 * Default tiles, as measured: a processor takes the state of a whole head, a GPU many programs, with chunks of 32 tokens where
 * the running sums of a chunk [chunk, D] fit the workgroup memory and of 16 or 8 where they do not.
 */
export function gatedLinearTiles(
  { kind, info }: Pick<Device, 'kind' | 'info'>,
  headDim: number,
  valueDim: number,
): { chunk: number; tileV: number } {
  const columns = 16 * Math.max(1, Math.ceil(valueDim / 16))
  if (kind !== 'webgpu') return { chunk: 16, tileV: Math.min(128, columns) }
  const memory = info.limits.maxComputeWorkgroupStorageSize ?? 16384
  const width = 16 * Math.ceil(headDim / 16) + 8
  return { chunk: [32, 16].find((chunk) => 4 * chunk * width <= memory) ?? 8, tileV: Math.min(32, columns) }
}

/** The kernel of `gatedLinearAttention`. Throws `shape`, `dtype` and `argument`. */
export function gatedLinearAttentionKernel(spec: GatedLinearAttentionSpec): Kernel {
  checkFields('gatedLinearAttentionKernel', 'spec', spec, gatedLinearAttentionSpecFields)
  checkChoice('gatedLinearAttention', 'form', spec.form, ['chunked', 'recurrent'])
  const { query, key, value, logDecay, initialState, cuSeqlens, output, finalState, chunk, tileV } = spec
  const received = { query, key, value, logDecay, initialState, cuSeqlens, output, finalState }
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string) =>
    new FoveaError(code, 'gatedLinearAttention', `${what}, got ${describe(received)}`)
  const [B, T, H, D] = query.shape as readonly [number, number, number, number]
  const Dv = value.shape[3] as number
  const sequences = cuSeqlens ? (cuSeqlens.shape[0] as number) - 1 : B
  const perChannel = logDecay.shape.length === 4
  const expect = (name: keyof typeof received, shape: readonly number[]) => {
    const tensor = received[name]
    if (tensor && tensor.shape.join() !== shape.join()) throw fail('shape', `${name} must be [${shape.join(', ')}]`)
    if (tensor && tensor.strides.at(-1) !== 1 && (shape.at(-1) as number) > 1)
      throw fail('shape', `the last dimension of ${name} must be contiguous`)
  }
  if (query.shape.length !== 4 || value.shape.length !== 4)
    throw fail('shape', 'query and value must have 4 dimensions')
  if (D < 1 || D > 256) throw fail('shape', 'headDim must be 1 to 256')
  expect('key', query.shape)
  expect('value', [B, T, H, Dv])
  expect('logDecay', perChannel ? query.shape : [B, T, H])
  expect('initialState', [sequences, H, D, Dv])
  expect('output', [B, T, H, Dv])
  expect('finalState', [sequences, H, D, Dv])
  if (cuSeqlens && (B !== 1 || cuSeqlens.shape.length !== 1 || sequences < 0))
    throw fail('shape', 'packed sequences need a batch of 1 and cuSeqlens [N + 1]')
  const floats: readonly StorageDType[] = ['f32', 'f16', 'bf16']
  if (!floats.includes(query.dtype) || key.dtype !== query.dtype || value.dtype !== query.dtype)
    throw fail('dtype', 'query, key and value must have one dtype, f32, f16 or bf16')
  if (!floats.includes(logDecay.dtype)) throw fail('dtype', 'logDecay must be f32, f16 or bf16')
  if (finalState.dtype !== 'f32' || (initialState && initialState.dtype !== 'f32'))
    throw fail('dtype', 'states must be f32')
  if (cuSeqlens && cuSeqlens.dtype !== 'i32') throw fail('dtype', 'cuSeqlens must be i32')
  if (![8, 16, 32, 64].includes(chunk)) throw fail('argument', `chunk must be 8, 16, 32 or 64, not ${chunk}`)
  return {
    program: spec.form === 'chunked' ? gatedLinearChunks(spec) : gatedLinearTokens(spec),
    grid: [Math.ceil(Dv / tileV), H, sequences],
    scalars: { scale: spec.scale },
  }
}

function checkBounds(cuSeqlens: ArrayLike<number>, tokens: number): void {
  const bounds = Array.from(cuSeqlens)
  const ordered = bounds.every((at, i) => Number.isInteger(at) && at >= (bounds[i - 1] ?? 0))
  if (bounds.length === 0 || bounds[0] !== 0 || !ordered || bounds.at(-1) !== tokens)
    throw new FoveaError(
      'argument',
      'gatedLinearAttention',
      `cuSeqlens must rise from 0 to the number of tokens ${tokens}, got [${bounds.join(', ')}]`,
    )
}

function describe(tensors: Readonly<Record<string, TensorSpec | null>>): string {
  return Object.entries(tensors)
    .flatMap(([name, t]) => (t ? [`${name} ${t.dtype} [${t.shape.join(', ')}] strides [${t.strides.join(', ')}]`] : []))
    .join(', ')
}

const gatedLinearAttentionFields: FieldsOf<GatedLinearAttentionOptions> = {
  query: true,
  key: true,
  value: true,
  logDecay: true,
  initialState: true,
  scale: true,
  cuSeqlens: true,
  form: true,
}

const gatedLinearAttentionSpecFields: FieldsOf<GatedLinearAttentionSpec> = {
  query: true,
  key: true,
  value: true,
  logDecay: true,
  initialState: true,
  cuSeqlens: true,
  output: true,
  finalState: true,
  scale: true,
  form: true,
  chunk: true,
  tileV: true,
}
