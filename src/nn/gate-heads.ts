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
  type Program,
  rowRange,
  sizeOf,
  store,
  type TensorSpec,
} from '../tile/index.ts'
import type { Activation } from './activations.ts'
import { elementTiles } from './elementwise.ts'

export interface GateHeadsOptions {
  readonly gate: Tensor // [N, H·D], or [N, H]: one for all elements of a head
  /** sigmoid in most models */
  readonly activation: Activation
  /** multiplied in place */
  readonly output: Tensor // [N, H·D]
}

/**
 * output[n, h, d] *= activation(gate[n, h, d]), or of gate[n, h], in f32: the gate of what attention gives (Qiu et al. 2025,
 * Gated Attention for Large Language Models, arXiv 2505.06708). f32, f16 or bf16 with contiguous rows.
 *
 * Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function gateHeads(device: Device, options: GateHeadsOptions): void {
  checkFields('gateHeads', 'options', options, fields)
  const { gate, activation, output } = options
  const [rows, width] = check(gate, output)
  const perGate = width / (gate.shape[1] as number)
  const { tileN, tileD } = elementTiles(device.kind, width)
  const program = gateProgram(gate, output, activation, { tileN, tileD, perGate })
  device.run({ program, grid: [Math.ceil(rows / tileN), 1, 1], scalars: {} }, { gate, output })
}

/** One program owns a few rows and walks over their columns. Traffic: the gate, and output twice. */
function gateProgram(
  gate: TensorSpec,
  output: TensorSpec,
  activation: Activation,
  tiles: { readonly tileN: number; readonly tileD: number; readonly perGate: number },
): Program {
  const { tileN, tileD, perGate } = tiles
  return defineProgram('gate-heads', (p) => {
    const gates = p.input('gate', gate.dtype, [null, null], { alignment: alignmentOf(gate) })
    const to = p.update('output', output.dtype, [null, null], { alignment: alignmentOf(output) })
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //            [tileN, 1]
    loop(
      { to: sizeOf(to, 1), step: tileD },
      {},
      (start, _, emit) => {
        const columns = colRange(start, tileD) //                         [1, tileD]
        const factor = activation(load(gates, [rows, perGate === 1 ? columns : columns.div(perGate)]).cast('f32'))
        emit(store(to, [rows, columns], load(to, [rows, columns]).cast('f32').mul(factor)))
        return {}
      },
      p.emit,
    )
  })
}

function check(gate: Tensor, output: Tensor): readonly [number, number] {
  const show = () =>
    `gate ${gate.dtype} [${gate.shape.join(', ')}], output ${output.dtype} [${output.shape.join(', ')}]`
  const [rows = 0, width = 0] = output.shape
  const [gateRows, gates = 0] = gate.shape
  if (output.shape.length !== 2 || gate.shape.length !== 2 || gateRows !== rows || gates < 1 || width % gates !== 0)
    throw new FoveaError('shape', 'gateHeads', `output must be [N, H·D] and gate [N, H·D] or [N, H], got ${show()}`)
  for (const { dtype } of [gate, output])
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16')
      throw new FoveaError('dtype', 'gateHeads', `takes f32, f16 and bf16, got ${show()}`)
  return [rows, width]
}

const fields: FieldsOf<GateHeadsOptions> = { gate: true, activation: true, output: true }
