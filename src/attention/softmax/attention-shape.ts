import { FoveaError, type TensorSpec } from '../../tile/index.ts'

/** The widest head; wider ones would not fit in the registers and workgroup memory that kernels are written for. */
export const maxHeadDim = 256

export interface AttentionTensors {
  readonly query: TensorSpec // [B, T, H, D]
  readonly key: TensorSpec // [B, S, Hkv, D]
  readonly value: TensorSpec // [B, S, Hkv, Dv]
  readonly sinks?: TensorSpec | null // [H]
  readonly output?: TensorSpec | null // [B, T, H, Dv]
  readonly lse?: TensorSpec | null // [B, H, T]
}

/** Sizes of one call. Packed sequences: batch is 1, queries and keys count the tokens of all sequences. */
export interface AttentionShape {
  readonly dtype: 'f32' | 'f16' | 'bf16'
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly groupSize: number
  readonly headDim: number
  readonly valueDim: number
}

/** Checks that tensors fit together; throws `shape`, `dtype` and `unsupported` in the name of `where`, printing what it got. */
export function checkAttentionShape(where: string, tensors: AttentionTensors): AttentionShape {
  const { query, key, value, sinks, output, lse } = tensors
  const received = Object.entries(tensors)
    .filter(([, spec]) => spec)
    .map(([name, spec]) => `${name} ${describeSpec(spec as TensorSpec)}`)
    .join(', ')
  const fail = (code: 'shape' | 'dtype' | 'unsupported', message: string): never => {
    throw new FoveaError(code, where, `${message}; got ${received}`)
  }
  for (const [name, spec] of [
    ['query', query],
    ['key', key],
    ['value', value],
  ] as const)
    if (spec.shape.length !== 4) fail('shape', `${name} must be [batch, tokens, heads, width]`)
  const [batch = 0, queries = 0, numHeads = 0, headDim = 0] = query.shape
  const [keyBatch, keys = 0, numKvHeads = 0, keyDim] = key.shape
  const [valueBatch, valueKeys, valueHeads, valueDim = 0] = value.shape
  const { dtype } = query
  if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16') return fail('dtype', 'query must be f32, f16 or bf16')
  if (key.dtype !== dtype || value.dtype !== dtype) fail('dtype', 'query, key and value must have one dtype')
  if (keyBatch !== batch || valueBatch !== batch) fail('shape', 'query, key and value must have one batch size')
  if (keyDim !== headDim) fail('shape', 'query and key must have one head width')
  if (valueKeys !== keys || valueHeads !== numKvHeads) fail('shape', 'key and value must have as many tokens and heads')
  if (headDim < 1 || valueDim < 1) fail('shape', 'head widths must be at least 1')
  if (numKvHeads === 0 ? numHeads !== 0 : numHeads % numKvHeads !== 0)
    fail(
      'shape',
      `the number of query heads, ${numHeads}, must be a multiple of the key and value heads, ${numKvHeads}`,
    )
  if (headDim > maxHeadDim || valueDim > maxHeadDim) fail('unsupported', `head widths go up to ${maxHeadDim}`)
  const same = (spec: TensorSpec, shape: readonly number[]) =>
    spec.shape.length === shape.length && shape.every((size, dim) => size === spec.shape[dim])
  if (sinks && !same(sinks, [numHeads])) fail('shape', `sinks must be [${numHeads}]`)
  if (sinks && sinks.dtype !== 'f32') fail('dtype', 'sinks must be f32')
  const wanted = [batch, queries, numHeads, valueDim]
  if (output && !same(output, wanted)) fail('shape', `output must be [${wanted.join(', ')}]`)
  if (output && output.dtype !== dtype) fail('dtype', 'output must have the dtype of query')
  if (lse && !same(lse, [batch, numHeads, queries])) fail('shape', `lse must be [${batch}, ${numHeads}, ${queries}]`)
  if (lse && lse.dtype !== 'f32') fail('dtype', 'lse must be f32')
  for (const [name, spec] of Object.entries(tensors) as [string, TensorSpec | null | undefined][])
    if (spec && (spec.shape.at(-1) as number) > 1 && spec.strides.at(-1) !== 1)
      fail('shape', `the last dimension of ${name} must be contiguous (strides ${spec.strides.join(', ')})`)
  const groupSize = numKvHeads === 0 ? 1 : numHeads / numKvHeads
  return { dtype, batch, queries, keys, numHeads, numKvHeads, groupSize, headDim, valueDim }
}

/** "f16 [1, 4096, 8, 64]" */
export function describeSpec(spec: TensorSpec): string {
  return `${spec.dtype} [${spec.shape.join(', ')}]`
}
