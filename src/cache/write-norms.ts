import { colRange, load, loop, type ProgramBuilder, type TensorParam, type Value, zeros } from '../tile/index.ts'
import type { WriteNorm, WriteProgramSpec } from './write-pages-spec.ts'

/** The normalisation of a head in a program. */
export interface Norm {
  readonly afterRope: boolean
  /** of the head whose first column is `base`: what its elements become, but for the weight */
  over(base: Value): (x: Value) => Value
  /** null: nothing multiplies */
  readonly weight: ((head: Value, columns: Value) => Value) | null
}

/** Elements of the tile's rows, f32, clipped where asked. */
export function elements(
  { changes: { clip } }: WriteProgramSpec,
  qkv: TensorParam,
  rows: Value,
  columns: Value,
): Value {
  const x = load(qkv, [rows, columns]).cast('f32')
  return clip === undefined ? x : x.max(-clip).min(clip)
}

/** The normalisation of queries or keys, null for none. */
export function normOf(
  p: ProgramBuilder,
  spec: WriteProgramSpec,
  side: 'query' | 'key',
  qkv: TensorParam,
  rows: Value,
): Norm | null {
  const norm = side === 'query' ? spec.queryNorm : spec.keyNorm
  if (!norm) return null
  const { numHeads: H, numKvHeads: G } = spec
  const D = spec.layout.headDim
  const { offset, over, afterRope = false } = norm
  const heads = side === 'query' ? H : G
  const weights = p.input(`${side}Norm`, spec.normDType, [over === 'head' ? D : heads * D])
  return {
    afterRope,
    over: overHead(spec, norm, qkv, rows, { first: side === 'query' ? 0 : H, heads, width: D }),
    weight: (head, columns) => {
      const w = load(weights, [over === 'head' ? columns : columns.add(head.mul(D))]).cast('f32')
      return offset === 0 ? w : w.add(offset)
    },
  }
}

/** The normalisation of values, which has no weight; null for none. */
export function valueNormOf(spec: WriteProgramSpec, qkv: TensorParam, rows: Value): Norm | null {
  const { valueNormEps: eps } = spec.changes
  if (eps === undefined) return null
  const norm = { eps, offset: 0, over: 'head' } as const
  const heads = { first: 0, heads: 0, width: spec.layout.valueDim }
  return { afterRope: false, over: overHead(spec, norm, qkv, rows, heads), weight: null }
}

/** x / √(mean x² + eps), of a layer norm (x − mean x) / √(mean (x − mean x)² + eps): over a head, or over `heads` from `first` on. */
function overHead(
  spec: WriteProgramSpec,
  { kind = 'rms', eps, over }: WriteNorm,
  qkv: TensorParam,
  rows: Value,
  { first, heads, width: D }: { readonly first: number; readonly heads: number; readonly width: number },
): Norm['over'] {
  const head = (base: Value) => elements(spec, qkv, rows, colRange(base, D))
  const factorOf = (squares: Value, count: number) =>
    squares
      .mul(1 / count)
      .add(eps)
      .rsqrt()
  if (over === 'all') {
    const squares = loop({ to: heads }, { sum: zeros([spec.tileN, 1]) }, (h, { sum }) => {
      const x = head(h.add(first).mul(D))
      return { sum: sum.add(x.mul(x).rowSum()) }
    }).sum
    const factor = factorOf(squares, heads * D)
    return () => (x) => x.mul(factor)
  }
  return (base) => {
    const x = head(base)
    if (kind === 'rms') {
      const factor = factorOf(x.mul(x).rowSum(), D)
      return (given) => given.mul(factor)
    }
    const mean = x.rowSum().mul(1 / D)
    const centred = x.sub(mean)
    const factor = factorOf(centred.mul(centred).rowSum(), D)
    return (given) => given.sub(mean).mul(factor)
  }
}
