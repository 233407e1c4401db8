import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  load,
  loop,
  rowRange,
  select,
  sizeOf,
  store,
  zeros,
} from '../tile/index.ts'
import type { Activation } from './activations.ts'
import { elementTiles } from './elementwise.ts'

export interface SparseGateOptions {
  /** gates of each token, then as many others */
  readonly x: Tensor // [N, 2·I]
  /** how many standard deviations above their mean gates begin to count */
  readonly deviations: number
  readonly activation: Activation
  readonly output: Tensor // [N, I]
}

/**
 * output = activation(max(0, gate − (mean + deviations · std))) · up, mean and standard deviation (of all, not of a sample) over
 * the gates of a token: were these normally distributed, the share of them that counts would be that above the quantile
 * (Gemma 3n). f32, f16 or bf16 with contiguous rows, in f32. Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function sparseGate(device: Device, options: SparseGateOptions): void {
  checkFields('sparseGate', 'options', options, fields)
  const { x, deviations, activation, output } = options
  const [rows = 0, width = 0] = output.shape
  const show = () => `x ${x.dtype} [${x.shape.join(', ')}], output ${output.dtype} [${output.shape.join(', ')}]`
  if (output.shape.length !== 2 || x.shape.join() !== `${rows},${2 * width}`)
    throw new FoveaError('shape', 'sparseGate', `x must be [N, 2·I] and output [N, I], got ${show()}`)
  if ([x, output].some(({ dtype }) => !['f32', 'f16', 'bf16'].includes(dtype)))
    throw new FoveaError('dtype', 'sparseGate', `takes f32, f16 and bf16, got ${show()}`)
  const { tileN, tileD } = elementTiles(device.kind, width)
  // one program owns tileN rows and walks three times over them, the last two times from cache
  const program = defineProgram('sparse-gate', (p) => {
    const from = p.input('x', x.dtype, [null, null], { alignment: alignmentOf(x) })
    const to = p.output('output', output.dtype, [null, null], { alignment: alignmentOf(output) })
    const above = p.scalar('deviations', 'f32')
    const own = rowRange(p.programId(0).mul(tileN), tileN) //             [tileN, 1]
    const size = sizeOf(to, 1)
    const gates = { to: size, step: tileD }
    const gate = (start: Parameters<typeof colRange>[0]) => {
      const columns = colRange(start, tileD) //                           [1, tileD]
      return { columns, value: load(from, [own, columns]).cast('f32') }
    }
    const none = () => zeros([tileN, tileD])
    const mean = loop(gates, { sum: none() }, (start, { sum }) => {
      const { columns, value } = gate(start)
      return { sum: sum.add(select(columns.lt(size), value, 0)) }
    })
      .sum.rowSum()
      .div(size)
    const variance = loop(gates, { sum: none() }, (start, { sum }) => {
      const { columns, value } = gate(start)
      const off = select(columns.lt(size), value.sub(mean), 0)
      return { sum: sum.add(off.mul(off)) }
    })
      .sum.rowSum()
      .div(size)
    const cut = mean.add(variance.sqrt().mul(above)) //                   [tileN, 1]
    loop(
      gates,
      {},
      (start, _, emit) => {
        const { columns, value } = gate(start)
        const up = load(from, [own, columns.add(size)]).cast('f32')
        emit(store(to, [own, columns], activation(value.sub(cut).max(0)).mul(up)))
        return {}
      },
      p.emit,
    )
  })
  device.run({ program, grid: [Math.ceil(rows / tileN), 1, 1], scalars: { deviations } }, { x, output })
}

const fields: FieldsOf<SparseGateOptions> = { x: true, deviations: true, activation: true, output: true }
