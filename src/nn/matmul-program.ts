import {
  alignmentOf,
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
  zeros,
} from '../tile/index.ts'
import type { Activation } from './activations.ts'
import type { MatmulTiles } from './matmul-tiles.ts'

/** Everything of a matrix product but the data. Sizes, strides and alpha are run-time values: changing them compiles nothing. */
export interface MatmulSpec {
  readonly a: TensorSpec // [M, K] or [batch, M, K]; transposeA: [K, M] or [batch, K, M]
  readonly b: TensorSpec // [K, N] or [batch, K, N]; transposeB: [N, K] or [batch, N, K]
  readonly bias: TensorSpec | null // [N]
  readonly output: TensorSpec // [M, N], or [batch, M, N] when a or b has a batch
  readonly transposeA: boolean
  readonly transposeB: boolean
  readonly alpha: number
  readonly epilogue: Activation | null
  /** added to what the output holds */
  readonly accumulate: boolean
  readonly tiles: MatmulTiles
}

/**
 * One program owns a tile [tileM, tileN] of the output and streams tileK columns of a and rows of b at a time.
 * Traffic: a is read N / tileN times, b M / tileM times, output written once (and read once, where it is added to).
 */
export function matmulProgram(spec: MatmulSpec): Program {
  const { tileM, tileN, tileK } = spec.tiles
  return defineProgram('matmul', (p) => {
    const a = operand(p, 'a', spec.a)
    const b = operand(p, 'b', spec.b)
    const bias = spec.bias && p.input('bias', spec.bias.dtype, [null])
    const output = p[spec.accumulate ? 'update' : 'output'](
      'output',
      spec.output.dtype,
      spec.output.shape.map(() => null),
      { alignment: alignmentOf(spec.output) },
    )
    const alpha = p.scalar('alpha', 'f32')
    const [mStart, nStart, batch] = [p.programId(1).mul(tileM), p.programId(0).mul(tileN), p.programId(2)]
    const at = (tensor: TensorSpec, row: Value, col: Value) =>
      tensor.shape.length === 3 ? [batch, row, col] : [row, col]
    // a transpose costs nothing as an operand of dot
    const tile = (
      param: typeof a,
      from: TensorSpec,
      transposed: boolean,
      row: Value,
      rows: number,
      col: Value,
      cols: number,
    ) => {
      const x = transposed
        ? load(param, at(from, rowRange(col, cols), colRange(row, rows))).T
        : load(param, at(from, rowRange(row, rows), colRange(col, cols)))
      return spec.a.dtype === spec.b.dtype ? x : x.cast('f32')
    }
    const depth = sizeOf(a, spec.a.shape.length - (spec.transposeA ? 2 : 1))

    const { acc } = loop({ to: depth, step: tileK }, { acc: zeros([tileM, tileN]) }, (k, carried) => {
      const aTile = tile(a, spec.a, spec.transposeA, mStart, tileM, k, tileK) //  [tileM, tileK]
      const bTile = tile(b, spec.b, spec.transposeB, k, tileK, nStart, tileN) //  [tileK, tileN]
      return { acc: carried.acc.add(dot(aTile, bTile)) } //                       [tileM, tileN]
    })
    const n = colRange(nStart, tileN) //                                          [1, tileN]
    let y = acc.mul(alpha)
    if (bias) y = y.add(load(bias, [n]))
    if (spec.epilogue) y = spec.epilogue(y)
    const place = at(spec.output, rowRange(mStart, tileM), n)
    p.emit(store(output, place, spec.accumulate ? load(output, place).add(y) : y))
  })
}

function operand(p: ProgramBuilder, name: string, spec: TensorSpec) {
  return p.input(
    name,
    spec.dtype,
    spec.shape.map(() => null),
    { alignment: alignmentOf(spec) },
  )
}
