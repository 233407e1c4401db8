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
  sizeOf,
  store,
  type TensorSpec,
} from '../tile/index.ts'
import type { RopeLayout } from './rope-tables.ts'
import { loadRope, rope, ropeColumns } from './rope-values.ts'

/** Everything of a rotation but the data. */
export interface RopeKernelSpec {
  readonly x: TensorSpec // [N, H, D]
  readonly positions: TensorSpec // i32 [N]
  readonly table: TensorSpec // f32 [rows, 2 · pairs]
  readonly output: TensorSpec // [N, H, D]
  readonly layout: RopeLayout
  readonly interleaved: boolean
  readonly inverse: boolean
  readonly tileN: number
}

export interface RopeOptions {
  readonly x: Tensor
  readonly positions: Tensor
  /** `ropeTables`, with its data as a tensor f32 [rows, 2 · pairs] */
  readonly tables: RopeLayout & { readonly table: Tensor }
  /** pairs are neighbours (2i, 2i + 1) instead of (i, i + pairs) (false) */
  readonly interleaved?: boolean
  /** turned back by the same angles (the factor stays a factor): what a gradient of the output is for x (false) */
  readonly inverse?: boolean
  readonly output: Tensor
}

/**
 * Rotary position embedding (Su et al. 2021, arXiv 2104.09864): each pair of the first rotaryDim = 2 · pairs elements of a
 * head turns by position · inverseFrequencies[pair], times the attention factor; the other elements stay.
 *
 *     output[n, h, a] = x[n, h, a] · cos − x[n, h, b] · sin        output[n, h, b] = x[n, h, b] · cos + x[n, h, a] · sin
 *
 * `x` and `output` are [N, H, D] of f32, f16 or bf16, `positions` i32 [N]. Returns the output.
 *
 * Throws `shape`, `dtype`, and what `Device.run` throws (an output that shares memory with `x` among it).
 */
export function applyRope(device: Device, options: RopeOptions): Tensor {
  checkFields('applyRope', 'options', options, ropeFields)
  const { x, positions, tables, output } = options
  const { table, ...layout } = tables
  const tileN = device.kind === 'webgpu' ? 16 : 8
  const { interleaved = false, inverse = false } = options
  const kernel = ropeKernel({ x, positions, table, output, layout, interleaved, inverse, tileN })
  device.run(kernel, { x, positions, table, output })
  return output
}

/** The kernel of `applyRope`. Throws `shape` and `dtype`. */
export function ropeKernel(spec: RopeKernelSpec): Kernel {
  checkFields('ropeKernel', 'spec', spec, ropeKernelSpecFields)
  const { x, positions, table, output, layout, tileN } = spec
  const show = () =>
    Object.entries({ x, positions, table, output })
      .map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`)
      .join(', ')
  const fail = (code: 'shape' | 'dtype', what: string) => new FoveaError(code, 'applyRope', `${what}, got ${show()}`)
  const [N = 0, H = 0, D = 0] = x.shape
  if (x.shape.length !== 3 || output.shape.join() !== x.shape.join())
    throw fail('shape', 'x and output must be [N, H, D]')
  if (positions.shape.join() !== `${N}`) throw fail('shape', `positions must be [${N}]`)
  if (2 * layout.pairs > D) throw fail('shape', `${2 * layout.pairs} elements cannot turn in heads of ${D}`)
  if (table.shape.join() !== [layout.rows, 2 * layout.pairs].join())
    throw fail('shape', `table must be [${layout.rows}, ${2 * layout.pairs}]`)
  if (positions.dtype !== 'i32' || table.dtype !== 'f32') throw fail('dtype', 'positions must be i32, table f32')
  for (const { dtype } of [x, output])
    if (!['f32', 'f16', 'bf16'].includes(dtype)) throw fail('dtype', 'x and output are f32, f16 or bf16')
  return { program: ropeProgram(spec), grid: [Math.ceil(N / tileN), H === 0 ? 0 : 1, 1], scalars: {} }
}

/** One program owns tileN tokens: their angles are joined once and serve all heads. Traffic: x and output. */
function ropeProgram(spec: RopeKernelSpec): Program {
  const { layout, interleaved, inverse, tileN } = spec
  const D = spec.x.shape[2] as number
  const rest = D - 2 * layout.pairs
  return defineProgram('rope', (p) => {
    const x = p.input('x', spec.x.dtype, [null, null, D], { alignment: alignmentOf(spec.x) })
    const positions = p.input('positions', 'i32', [null])
    const table = p.input('table', 'f32', [layout.rows, 2 * layout.pairs], { alignment: alignmentOf(spec.table) })
    const output = p.output('output', spec.output.dtype, [null, null, D], { alignment: alignmentOf(spec.output) })
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //           [tileN, 1]
    const pairs = colRange(0, layout.pairs) //                           [1, pairs]
    const { cos, sin } = loadRope(table, layout, load(positions, [rows]), pairs) // [tileN, pairs]
    const turn = { cos, sin: inverse ? sin.neg() : sin }
    const columns = ropeColumns(layout, interleaved, pairs)
    loop(
      { to: sizeOf(x, 1) },
      {},
      (head, _, emit) => {
        const turned = rope(
          { first: load(x, [rows, head, columns.first]), second: load(x, [rows, head, columns.second]) },
          turn,
        )
        emit(store(output, [rows, head, columns.first], turned.first))
        emit(store(output, [rows, head, columns.second], turned.second))
        if (rest > 0) {
          const others = colRange(2 * layout.pairs, rest)
          emit(store(output, [rows, head, others], load(x, [rows, head, others])))
        }
        return {}
      },
      p.emit,
    )
  })
}

const ropeFields: FieldsOf<RopeOptions> = {
  x: true,
  positions: true,
  tables: true,
  interleaved: true,
  inverse: true,
  output: true,
}

const ropeKernelSpecFields: FieldsOf<RopeKernelSpec> = {
  x: true,
  positions: true,
  table: true,
  output: true,
  layout: true,
  interleaved: true,
  inverse: true,
  tileN: true,
}
