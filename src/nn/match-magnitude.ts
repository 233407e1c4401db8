import type { Device, Tensor } from '../device/device.ts'
import {
  colRange,
  defineProgram,
  FoveaError,
  load,
  loop,
  rowRange,
  sizeOf,
  store,
  type TensorParam,
  zeros,
} from '../tile/index.ts'
import { elementTiles } from './elementwise.ts'

export interface MatchMagnitudeOptions {
  readonly x: Tensor // [N, D]
  /** multiplied in place */
  readonly output: Tensor // [N, D]
}

/** what the mean of squares of a row of zeros counts as */
const least = 1e-5

/**
 * output *= √(mean(x²) / max(mean(output²), 1e-5)), row by row, in f32: each row becomes as large as that of x (Gemma 3n's
 * residual streams). [N, D] of f32, f16 or bf16 with contiguous rows. Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function matchMagnitude(device: Device, { x, output }: MatchMagnitudeOptions): void {
  const show = () => `x ${x.dtype} [${x.shape.join(', ')}], output ${output.dtype} [${output.shape.join(', ')}]`
  if (x.shape.length !== 2 || x.shape.join() !== output.shape.join())
    throw new FoveaError('shape', 'matchMagnitude', `x and output must be [N, D] alike, got ${show()}`)
  if ([x, output].some(({ dtype }) => !['f32', 'f16', 'bf16'].includes(dtype)))
    throw new FoveaError('dtype', 'matchMagnitude', `takes f32, f16 and bf16, got ${show()}`)
  const [N, D] = x.shape as readonly [number, number]
  const { tileN, tileD } = elementTiles(device.kind, D)
  const program = defineProgram('match-magnitude', (p) => {
    const like = p.input('x', x.dtype, [null, null])
    const to = p.update('output', output.dtype, [null, null])
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //            [tileN, 1]
    const columns = { to: sizeOf(to, 1), step: tileD }
    const squares = (of: TensorParam) =>
      loop(columns, { sum: zeros([tileN, tileD]) }, (start, { sum }) => {
        const value = load(of, [rows, colRange(start, tileD)]).cast('f32')
        return { sum: sum.add(value.mul(value)) }
      })
        .sum.rowSum()
        .div(sizeOf(to, 1))
    const factor = squares(like).div(squares(to).max(least)).sqrt() //    [tileN, 1]
    loop(
      columns,
      {},
      (start, _, emit) => {
        const at = [rows, colRange(start, tileD)] as const
        emit(store(to, at, load(to, at).cast('f32').mul(factor)))
        return {}
      },
      p.emit,
    )
  })
  device.run({ program, grid: [Math.ceil(N / tileN), 1, 1], scalars: {} }, { x, output })
}
