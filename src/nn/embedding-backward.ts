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
  longAxis,
  longAxisId,
  loop,
  rowRange,
  select,
  store,
  type TensorSpec,
  zeros,
} from '../tile/index.ts'

export interface EmbedBackwardOptions {
  /** places of tokens in dOutput, those of the same id side by side, sorted by id */
  readonly order: Tensor // i32 [N]
  /** where the places of an id begin in `order`; the last number is where those of the last id end */
  readonly starts: Tensor // i32 [V + 1]
  readonly dOutput: Tensor // [N, C] f32, f16 or bf16
  readonly dTable: Tensor // f32 [V, C], added to
  /** as in the forward (1) */
  readonly scale?: number
}

/**
 * Gradient of `embed`: dTable[v] += scale · Σ dOutput[n] over the tokens n with id v, in the order of the tokens: rows are
 * sorted by id on the host, so no two programs add to one row. Positions that were looked up go back the same way.
 *
 * Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function embedBackward(device: Device, options: EmbedBackwardOptions): void {
  checkFields('embedBackward', 'options', options, fields)
  const { order, starts, dOutput, dTable } = options
  const tiles = device.kind === 'webgpu' ? { tileN: 8, tileC: 128 } : { tileN: 1, tileC: 256 }
  const kernel = embedBackwardKernel({ order, starts, dOutput, dTable, scale: options.scale ?? 1, ...tiles })
  device.run(kernel, { order, starts, dOutput, dTable })
}

/** Everything of the gradient of an embedding but the data; sizes are run-time values. */
export interface EmbedBackwardSpec {
  readonly order: TensorSpec
  readonly starts: TensorSpec
  readonly dOutput: TensorSpec
  readonly dTable: TensorSpec
  readonly scale: number
  readonly tileN: number
  readonly tileC: number
}

/** The kernel of `embedBackward`: a program owns tileC columns of a row of the table. Traffic: dOutput, and the rows met twice. */
export function embedBackwardKernel(spec: EmbedBackwardSpec): Kernel {
  const { order, starts, dOutput, dTable, scale, tileN, tileC } = spec
  const show = () =>
    Object.entries({ order, starts, dOutput, dTable })
      .map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`)
      .join(', ')
  const fail = (code: 'shape' | 'dtype', what: string) =>
    new FoveaError(code, 'embedBackward', `${what}, got ${show()}`)
  const [V = 0, C = 0] = dTable.shape
  const [N = 0] = dOutput.shape
  if (dTable.shape.length !== 2 || dOutput.shape.join() !== `${N},${C}`)
    throw fail('shape', 'dOutput must be [N, C], dTable [V, C]')
  if (order.shape.join() !== `${N}` || starts.shape.join() !== `${V + 1}`)
    throw fail('shape', `order must be [${N}], starts [${V + 1}]`)
  if (order.dtype !== 'i32' || starts.dtype !== 'i32') throw fail('dtype', 'order and starts must be i32')
  if (dTable.dtype !== 'f32' || !['f32', 'f16', 'bf16'].includes(dOutput.dtype))
    throw fail('dtype', 'dTable must be f32, dOutput f32, f16 or bf16')
  const program = defineProgram('embed-backward', (p) => {
    const places = p.input('order', 'i32', [null])
    const bounds = p.input('starts', 'i32', [null])
    const from = p.input('dOutput', dOutput.dtype, [null, null], { alignment: alignmentOf(dOutput) })
    const to = p.update('dTable', 'f32', [null, null], { alignment: alignmentOf(dTable) })
    const factor = p.scalar('scale', 'f32')
    const row = longAxisId(p, 1, 2)
    const cols = colRange(p.programId(0).mul(tileC), tileC) //                     [1, tileC]
    const [first, end] = [load(bounds, [row]), load(bounds, [row.add(1)])]
    const { sums } = loop({ from: first, to: end, step: tileN }, { sums: zeros([tileN, tileC]) }, (at, carried) => {
      const rank = rowRange(at, tileN) //                                          [tileN, 1]
      const place = select(rank.lt(end), load(places, [rank]), -1)
      return { sums: carried.sums.add(load(from, [place, cols])) } //              [tileN, tileC]
    })
    const sum = load(to, [row, cols]).add(sums.colSum().mul(factor))
    p.emit(store(to, [row, cols], sum, { where: end.gt(first) }))
  })
  return { program, grid: [Math.ceil(C / tileC), ...longAxis(V)], scalars: { scale } }
}

const fields: FieldsOf<EmbedBackwardOptions> = { order: true, starts: true, dOutput: true, dTable: true, scale: true }
