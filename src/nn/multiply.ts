import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  colRange,
  defineProgram,
  FoveaError,
  load,
  loop,
  type Program,
  rowRange,
  sizeOf,
  store,
  type TensorSpec,
} from '../tile/index.ts'
import { elementTiles } from './elementwise.ts'

export interface MultiplyOptions {
  readonly factor: number
  /** multiplied in place */
  readonly output: Tensor // [N, D]
}

/**
 * output *= factor, in f32: the scale of what a layer gives. [N, D] of f32, f16 or bf16 with contiguous rows; sizes and the
 * factor are run-time values. Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function multiply(device: Device, { factor, output }: MultiplyOptions): void {
  const show = () => `${output.dtype} [${output.shape.join(', ')}]`
  if (output.shape.length !== 2) throw new FoveaError('shape', 'multiply', `output must be [N, D], got ${show()}`)
  if (!['f32', 'f16', 'bf16'].includes(output.dtype))
    throw new FoveaError('dtype', 'multiply', `output must be f32, f16 or bf16, got ${show()}`)
  const [rows, width] = output.shape as readonly [number, number]
  const tiles = elementTiles(device.kind, width)
  const program = multiplyProgram(output, tiles)
  const grid = [Math.ceil(rows / tiles.tileN), width === 0 ? 0 : 1, 1] as const
  device.run({ program, grid, scalars: { factor } }, { output })
}

/** One program owns tileN rows and walks over their columns. Traffic: output twice. */
function multiplyProgram(
  output: TensorSpec,
  { tileN, tileD }: { readonly tileN: number; readonly tileD: number },
): Program {
  return defineProgram('multiply', (p) => {
    const to = p.update('output', output.dtype, [null, null], { alignment: alignmentOf(output) })
    const factor = p.scalar('factor', 'f32')
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //            [tileN, 1]
    loop(
      { to: sizeOf(to, 1), step: tileD },
      {},
      (start, _, emit) => {
        const at = [rows, colRange(start, tileD)] as const //             [tileN, tileD]
        emit(store(to, at, load(to, at).cast('f32').mul(factor)))
        return {}
      },
      p.emit,
    )
  })
}
