import type { Tensor } from '../../device/device.ts'
import { activate, activateBackward, gatedActivation, gatedActivationBackward } from '../../nn/activate.ts'
import type { Activation } from '../../nn/activations.ts'
import type { TapeCore } from './tape-core.ts'
import type { Variable } from './variable.ts'

/** y = activation(x), element by element. */
export function activation(tape: TapeCore, x: Variable, f: Activation): Variable {
  const { device } = tape
  const input = x.value
  const y = tape.empty(x.shape, x.dtype, x.needsGradient)
  activate(device, { x: input, activation: f, output: y.value })
  return tape.note({
    output: y,
    keeps: [x],
    backward() {
      const dOutput = y.gradient?.tensor as Tensor
      tape.addGradient(x, (dX) => activateBackward(device, { x: input, dOutput, dX, activation: f }))
    },
  })
}

/** y [N, I] = activation(gate) · up of x [N, 2 · I], whose first I columns are the gate (Shazeer 2020, arXiv 2002.05202). */
export function gated(tape: TapeCore, x: Variable, f: Activation): Variable {
  const { device, workspace } = tape
  const input = x.value
  const [rows = 0, columns = 0] = x.shape
  const size = columns / 2
  const halves = (tensor: Tensor) =>
    [workspace.columns(tensor, 0, size), workspace.columns(tensor, size, columns)] as const
  const y = tape.empty([rows, size], x.dtype, x.needsGradient)
  const [gate, up] = halves(input)
  gatedActivation(device, { gate, up, activation: f, output: y.value })
  return tape.note({
    output: y,
    keeps: [x],
    backward() {
      const dOutput = y.gradient?.tensor as Tensor
      tape.addGradient(x, (dX) => {
        const [gate, up] = halves(input)
        const [dGate, dUp] = halves(dX)
        gatedActivationBackward(device, { gate, up, dOutput, dGate, dUp, activation: f })
      })
    },
  })
}
