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
  type Program,
  rowRange,
  store,
  type TensorSpec,
  zeros,
} from '../tile/index.ts'

export interface MeanRowsOptions {
  readonly x: Tensor // [N, D] f32, f16 or bf16
  /** first row and row after the last of each run; rows outside x count as zeros */
  readonly bounds: Tensor // i32 [S, 2]
  readonly output: Tensor // [S, D] f32, f16 or bf16
}

/** Everything of a mean of rows but the data. */
export interface MeanRowsSpec {
  readonly x: TensorSpec // [N, D]
  readonly bounds: TensorSpec // i32 [S, 2]
  readonly output: TensorSpec // [S, D]
  readonly tileN: number
  readonly tileD: number
}

/**
 * output[s, d] = Σ_n x[n, d] / (to − from) over the rows from = bounds[s, 0] … to − 1 = bounds[s, 1] − 1, summed in f32 and
 * always in the same order: the mean over the tokens of each packed text. An empty run gives zeros.
 *
 * Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function meanRows(device: Device, options: MeanRowsOptions): void {
  checkFields('meanRows', 'options', options, meanRowsFields)
  const { x, bounds, output } = options
  const tiles = device.kind === 'webgpu' ? { tileN: 32, tileD: 32 } : { tileN: 4, tileD: 256 }
  device.run(meanRowsKernel({ x, bounds, output, ...tiles }), { x, bounds, output })
}

/** The kernel of `meanRows`. Throws `shape` and `dtype`. */
export function meanRowsKernel(spec: MeanRowsSpec): Kernel {
  checkFields('meanRowsKernel', 'spec', spec, meanRowsSpecFields)
  const { x, bounds, output, tileD } = spec
  const show = () => [x, bounds, output].map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`).join(', ')
  const [runs = 0, width = 0] = output.shape
  if (x.shape.length !== 2 || output.shape.length !== 2 || x.shape[1] !== width || bounds.shape.join() !== `${runs},2`)
    throw new FoveaError('shape', 'meanRows', `x [N, D], bounds [S, 2] and output [S, D] are needed, got ${show()}`)
  if (bounds.dtype !== 'i32' || [x, output].some(({ dtype }) => !['f32', 'f16', 'bf16'].includes(dtype)))
    throw new FoveaError('dtype', 'meanRows', `x and output must be floats and bounds i32, got ${show()}`)
  return { program: meanRowsProgram(spec), grid: [Math.ceil(width / tileD), runs, 1], scalars: {} }
}

/** One program owns tileD columns of one run and streams its rows. Traffic: the runs of x, and the means. */
function meanRowsProgram(spec: MeanRowsSpec): Program {
  const { tileN, tileD } = spec
  return defineProgram('mean-rows', (p) => {
    const x = p.input('x', spec.x.dtype, [null, null], { alignment: alignmentOf(spec.x) })
    const bounds = p.input('bounds', 'i32', [null, null])
    const output = p.output('output', spec.output.dtype, [null, null])
    const run = p.programId(1)
    const cols = colRange(p.programId(0).mul(tileD), tileD) //                       [1, tileD]
    const [from, to] = [load(bounds, [run, 0]), load(bounds, [run, 1])]
    const { sums } = loop({ from, to, step: tileN }, { sums: zeros([tileN, tileD]) }, (start, carried) => {
      const rows = rowRange(start, tileN) //                                         [tileN, 1]
      return { sums: carried.sums.add(load(x, [rows, cols], { where: rows.lt(to) })) } // [tileN, tileD]
    })
    p.emit(store(output, [run, cols], sums.colSum().div(to.sub(from).max(1)))) //    [1, tileD]
  })
}

const meanRowsFields: FieldsOf<MeanRowsOptions> = { x: true, bounds: true, output: true }

const meanRowsSpecFields: FieldsOf<MeanRowsSpec> = { x: true, bounds: true, output: true, tileN: true, tileD: true }
