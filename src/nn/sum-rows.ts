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
  sizeOf,
  store,
  type TensorSpec,
  zeros,
} from '../tile/index.ts'

export interface SumRowsOptions {
  readonly x: Tensor // [N, D] f32, f16 or bf16
  readonly output: Tensor // [D], or [G, D]: G groups of rows, each summed by itself; f32, f16 or bf16
  /** added to what the output, which is f32, holds (false) */
  readonly accumulate?: boolean
  /** f32 [G, D] of any G: many rows are summed in G groups first, each by programs of its own */
  readonly partials?: Tensor
}

/** Everything of a sum of rows but the data. */
export interface SumRowsSpec {
  readonly x: TensorSpec // [N, D]
  readonly output: TensorSpec // [G, D]
  readonly accumulate: boolean
  readonly tileN: number
  readonly tileD: number
}

/**
 * output[d] = Σ_n x[n, d], or += with `accumulate`, in f32 and always in the same order: the gradient of a bias. With
 * `partials`, in two stages. An output [G, D] takes the sums of G runs of rows of equal length (the last may be shorter).
 *
 * Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function sumRows(device: Device, options: SumRowsOptions): void {
  checkFields('sumRows', 'options', options, sumRowsFields)
  const { x, partials, accumulate = false } = options
  if (partials) {
    sumRows(device, { x, output: partials })
    sumRows(device, { ...rest(options), x: partials })
    return
  }
  const output = options.output.shape.length === 1 ? options.output.reshape([1, options.output.size]) : options.output
  try {
    const perGroup = (x.shape[0] ?? 0) / Math.max(1, output.shape[0] ?? 1)
    const kernel = sumRowsKernel({ x, output, accumulate, ...sumRowsTiles(device.kind, perGroup, x.shape[1] ?? 0) })
    device.run(kernel, { x, output })
  } finally {
    if (output !== options.output) output.dispose()
  }
}

/** A good shape of `partials` for rows [N, D]. */
export function sumRowsPartials([rows = 0, width = 0]: readonly number[]): readonly [groups: number, width: number] {
  return [Math.max(1, Math.min(128, Math.ceil(rows / 32))), width]
}

/** The kernel of `sumRows` in one stage. Throws `shape` and `dtype`. */
export function sumRowsKernel(spec: SumRowsSpec): Kernel {
  checkFields('sumRowsKernel', 'spec', spec, sumRowsSpecFields)
  const { x, output, tileN, tileD } = spec
  const show = () => [x, output].map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`).join(', ')
  const [rows = 0, width = 0] = x.shape
  const groups = output.shape[0] ?? 0
  if (x.shape.length !== 2 || output.shape.length !== 2 || output.shape[1] !== width)
    throw new FoveaError('shape', 'sumRows', `x must be [N, D] and output [D] or [G, D], got ${show()}`)
  if ([x, output].some(({ dtype }) => !['f32', 'f16', 'bf16'].includes(dtype)))
    throw new FoveaError('dtype', 'sumRows', `takes f32, f16 and bf16, got ${show()}`)
  if (spec.accumulate && output.dtype !== 'f32')
    throw new FoveaError('dtype', 'sumRows', `accumulates in f32, got ${show()}`)
  const run = Math.ceil(rows / Math.max(1, groups) / tileN) * tileN
  return { program: sumRowsProgram(spec), grid: [Math.ceil(width / tileD), groups, 1], scalars: { run } }
}

/** One program owns tileD columns of one group and streams its rows. Traffic: x, and the sums. */
function sumRowsProgram(spec: SumRowsSpec) {
  const { tileN, tileD } = spec
  return defineProgram('sum-rows', (p) => {
    const x = p.input('x', spec.x.dtype, [null, null], { alignment: alignmentOf(spec.x) })
    const output = p[spec.accumulate ? 'update' : 'output']('output', spec.output.dtype, [null, null])
    const run = p.scalar('run', 'i32') // rows of a group, a multiple of tileN
    const group = p.programId(1)
    const cols = colRange(p.programId(0).mul(tileD), tileD) //                     [1, tileD]
    const from = group.mul(run)
    const to = from.add(run).min(sizeOf(x, 0))
    const { sums } = loop({ from, to, step: tileN }, { sums: zeros([tileN, tileD]) }, (row, carried) => ({
      sums: carried.sums.add(load(x, [rowRange(row, tileN), cols])), //            [tileN, tileD]
    }))
    const sum = sums.colSum() //                                                   [1, tileD]
    p.emit(store(output, [group, cols], spec.accumulate ? load(output, [group, cols]).add(sum) : sum))
  })
}

/**
 * Tiles by the rows of a group. On a GPU few rows are added up by each invocation for itself, and of many as many are read at
 * once as keep its cores busy, since each read takes long.
 */
function sumRowsTiles(kind: Device['kind'], rows: number, width: number): { tileN: number; tileD: number } {
  if (kind !== 'webgpu') return { tileN: Math.min(4, 2 ** Math.ceil(Math.log2(Math.max(1, rows)))), tileD: 256 }
  if (rows <= 16) return { tileN: 1, tileD: 256 }
  return width <= 2048 ? { tileN: 128, tileD: 16 } : { tileN: 32, tileD: 64 }
}

function rest({ output, accumulate }: SumRowsOptions): Pick<SumRowsOptions, 'output' | 'accumulate'> {
  return accumulate === undefined ? { output } : { output, accumulate }
}

const sumRowsFields: FieldsOf<SumRowsOptions> = { x: true, output: true, accumulate: true, partials: true }

const sumRowsSpecFields: FieldsOf<SumRowsSpec> = { x: true, output: true, accumulate: true, tileN: true, tileD: true }
