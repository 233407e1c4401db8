import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf } from '../tile/index.ts'
import type { Activation, GatedActivation } from './activations.ts'
import type { LinearWeight } from './place-linear.ts'
import type { FusedNorm } from './weights/fused-norm.ts'
import { runLinear } from './weights/run-linear.ts'

export interface GatedLinearOptions {
  readonly x: Tensor // [N, K] f32, f16 or bf16
  /** placed with the parts [gate, up], each [I, K] */
  readonly weight: LinearWeight
  /** silu for SwiGLU, gelu or geluTanh for GeGLU */
  readonly activation: Activation
  /** in place of activation(gate) · up: any function of both products, biases added */
  readonly combine?: GatedActivation | undefined
  readonly output: Tensor // [N, I]
  /** x is normalised first, by the same kernel; with few rows only (`fusesNorm`) */
  readonly norm?: FusedNorm | null
}

/**
 * output [N, I] = activation(x · gateᵀ) · (x · upᵀ) (Shazeer 2020, arXiv 2002.05202), biases added to both products where the
 * weight has them, or combine(x · gateᵀ, x · upᵀ): one kernel, x is read once and neither product is ever stored.
 *
 * Throws `shape`, `dtype`, `disposed`, `device`, `unsupported` (a weight spread over several
 * buffers, a norm where `fusesNorm` says no), and what `Device.run` throws.
 */
export function gatedLinear(device: Device, options: GatedLinearOptions): void {
  checkFields('gatedLinear', 'options', options, fields)
  const { x, weight, activation, combine = null, output, norm = null } = options
  const call = { where: 'gatedLinear', x, weight, output, accumulate: false, gated: true, norm }
  runLinear(device, { ...call, activation: combine ? null : activation, combine })
}

const fields: FieldsOf<GatedLinearOptions> = {
  x: true,
  weight: true,
  activation: true,
  combine: true,
  output: true,
  norm: true,
}
