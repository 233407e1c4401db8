import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf } from '../tile/index.ts'
import { activationGradient } from './activation-gradient.ts'
import type { Activation } from './activations.ts'
import { runElementwise } from './elementwise.ts'

export interface ActivateOptions {
  readonly x: Tensor // [N, D]
  readonly activation: Activation
  readonly output: Tensor // [N, D]
}

export interface ActivateBackwardOptions {
  readonly x: Tensor // [N, D], as it went in
  readonly activation: Activation
  readonly dOutput: Tensor // [N, D]
  readonly dX: Tensor // [N, D], replaced
}

export interface GatedActivationOptions {
  readonly gate: Tensor // [N, D]
  readonly up: Tensor // [N, D]
  /** silu for SwiGLU, gelu or geluTanh for GeGLU */
  readonly activation: Activation
  readonly output: Tensor // [N, D]
}

export interface GatedActivationBackwardOptions {
  readonly gate: Tensor // [N, D], as they went in
  readonly up: Tensor // [N, D]
  readonly activation: Activation
  readonly dOutput: Tensor // [N, D]
  /** both replaced; they may be the left and the right half of one matrix [N, 2 · D] */
  readonly dGate: Tensor // [N, D]
  readonly dUp: Tensor // [N, D]
}

// Matrices of these operations are f32, f16 or bf16 with contiguous rows, column views of wider ones among them; computed in
// f32. They throw `shape`, `dtype`, and what `Device.run` throws.

/** output = activation(x), element by element: see activations.ts, or any function over values. */
export function activate(device: Device, options: ActivateOptions): void {
  checkFields('activate', 'options', options, activateFields)
  const { x, activation, output } = options
  runElementwise(device, {
    where: 'activate',
    inputs: { x },
    outputs: { output },
    compute: ({ x }) => ({ output: activation(x) }),
  })
}

/** dX = dOutput · activation′(x), the slope derived from the activation's expression. */
export function activateBackward(device: Device, options: ActivateBackwardOptions): void {
  checkFields('activateBackward', 'options', options, activateBackwardFields)
  const { x, activation, dOutput, dX } = options
  runElementwise(device, {
    where: 'activateBackward',
    inputs: { x, dOutput },
    outputs: { dX },
    compute: ({ x, dOutput }) => ({ dX: activationGradient(activation, x, dOutput).dX }),
  })
}

/** output = activation(gate) · up (Shazeer 2020, arXiv 2002.05202). */
export function gatedActivation(device: Device, options: GatedActivationOptions): void {
  checkFields('gatedActivation', 'options', options, gatedActivationFields)
  const { gate, up, activation, output } = options
  runElementwise(device, {
    where: 'gatedActivation',
    inputs: { gate, up },
    outputs: { output },
    compute: ({ gate, up }) => ({ output: activation(gate).mul(up) }),
  })
}

/** dGate = dOutput · up · activation′(gate), dUp = dOutput · activation(gate): one kernel, everything read once. */
export function gatedActivationBackward(device: Device, options: GatedActivationBackwardOptions): void {
  checkFields('gatedActivationBackward', 'options', options, gatedActivationBackwardFields)
  const { gate, up, activation, dOutput, dGate, dUp } = options
  runElementwise(device, {
    where: 'gatedActivationBackward',
    inputs: { gate, up, dOutput },
    outputs: { dGate, dUp },
    compute: ({ gate, up, dOutput }) => {
      const { y, dX } = activationGradient(activation, gate, dOutput.mul(up))
      return { dGate: dX, dUp: dOutput.mul(y) }
    },
  })
}

const activateFields: FieldsOf<ActivateOptions> = { x: true, activation: true, output: true }

const activateBackwardFields: FieldsOf<ActivateBackwardOptions> = {
  x: true,
  activation: true,
  dOutput: true,
  dX: true,
}

const gatedActivationFields: FieldsOf<GatedActivationOptions> = {
  gate: true,
  up: true,
  activation: true,
  output: true,
}

const gatedActivationBackwardFields: FieldsOf<GatedActivationBackwardOptions> = {
  gate: true,
  up: true,
  activation: true,
  dOutput: true,
  dGate: true,
  dUp: true,
}
