import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf } from '../tile/index.ts'
import type { Activation } from './activations.ts'
import type { LinearWeight } from './place-linear.ts'
import type { FusedNorm } from './weights/fused-norm.ts'
import { runLinear } from './weights/run-linear.ts'

export interface LinearOptions {
  readonly x: Tensor // [N, K] f32, f16 or bf16
  readonly weight: LinearWeight // [M, K]
  readonly output: Tensor // [N, M]
  /** applied to x · weightᵀ + bias */
  readonly activation?: Activation
  /** add to what `output` holds, as a residual sum does, instead of replacing it (false) */
  readonly accumulate?: boolean
  /** x is normalised first, by the same kernel; with few rows only (`fusesNorm`) */
  readonly norm?: FusedNorm | null
}

/**
 * output [N, M] (+)= activation(x [N, K] · weight [M, K]ᵀ + bias), summed in f32. Quantised weights are dequantised inside the
 * kernel; on WebGPU, where x is f16 and rows are many, weights are rounded to f16 for the matrix units. N is a run-time
 * value: programs differ for 1, 2 to 4, 5 to 16 (on WebGPU 8) and more rows only.
 *
 * Throws `shape`, `dtype`, `disposed`, `device`, `unsupported` (a norm where `fusesNorm` says no), and what `Device.run` throws.
 */
export function linear(device: Device, options: LinearOptions): void {
  checkFields('linear', 'options', options, fields)
  const { x, weight, output, activation = null, accumulate = false, norm = null } = options
  runLinear(device, { where: 'linear', x, weight, output, activation, combine: null, accumulate, gated: false, norm })
}

const fields: FieldsOf<LinearOptions> = {
  x: true,
  weight: true,
  output: true,
  activation: true,
  accumulate: true,
  norm: true,
}
