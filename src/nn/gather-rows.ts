import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  type Kernel,
  load,
  loop,
  rowRange,
  type StorageDType,
  sizeOf,
  store,
  type TensorSpec,
} from '../tile/index.ts'

export interface GatherRowsOptions {
  readonly x: Tensor // [N, C] f32, f16 or bf16
  readonly rows: Tensor // [S] i32; a row outside x is read as zeros
  readonly output: Tensor // [S, C]
}

const floats: readonly StorageDType[] = ['f32', 'f16', 'bf16']
const tile = { rows: 4, cols: 128 }

/**
 * output[s] = x[rows[s]]: the rows whose logits are wanted, before the output projection.
 *
 * Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function gatherRows(device: Device, options: GatherRowsOptions): void {
  checkFields('gatherRows', 'options', options, fields)
  const { x, rows, output } = options
  device.run(gatherRowsKernel(x, rows, output), { x, rows, output })
}

/** The kernel of `gatherRows`: a program copies four rows. Throws `shape` and `dtype`. */
export function gatherRowsKernel(x: TensorSpec, rows: TensorSpec, output: TensorSpec): Kernel {
  const show = () => [x, rows, output].map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`).join(', ')
  const [count, width] = output.shape
  if (x.shape.length !== 2 || rows.shape.length !== 1 || output.shape.length !== 2)
    throw new FoveaError('shape', 'gatherRows', `x [N, C], rows [S] and output [S, C] are needed, got ${show()}`)
  if (rows.shape[0] !== count || x.shape[1] !== width)
    throw new FoveaError('shape', 'gatherRows', `output must be [${rows.shape[0]}, ${x.shape[1]}], got ${show()}`)
  if (rows.dtype !== 'i32' || [x, output].some(({ dtype }) => !floats.includes(dtype)))
    throw new FoveaError('dtype', 'gatherRows', `x and output must be floats and rows i32, got ${show()}`)
  const program = defineProgram('gather-rows', (p) => {
    const source = p.input('x', x.dtype, [null, null], { alignment: alignmentOf(x) })
    const index = p.input('rows', 'i32', [null])
    const target = p.output('output', output.dtype, [null, null], { alignment: alignmentOf(output) })
    const own = rowRange(p.programId(0).mul(tile.rows), tile.rows) //  [4, 1]
    const from = load(index, [own]) //                                 [4, 1]
    loop(
      { to: sizeOf(target, 1), step: tile.cols },
      {},
      (start, _, emit) => {
        const column = colRange(start, tile.cols) //                   [1, 128]
        emit(store(target, [own, column], load(source, [from, column])))
        return {}
      },
      p.emit,
    )
  })
  return { program, grid: [Math.ceil((count as number) / tile.rows), width === 0 ? 0 : 1, 1], scalars: {} }
}

const fields: FieldsOf<GatherRowsOptions> = { x: true, rows: true, output: true }
