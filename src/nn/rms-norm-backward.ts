import type { Device } from '../device/device.ts'
import { checkFields, type FieldsOf } from '../tile/index.ts'
import { type NormBackwardOptions, normBackwardScratch, runNormBackward } from './norm-backward.ts'
import type { NormGradient } from './norm-backward-program.ts'

/** Shape of the f32 scratch of `rmsNormBackward` for x of a shape, where dWeight is wanted. */
export function rmsNormBackwardScratch(shape: readonly number[]): readonly [number, number, number] {
  return normBackwardScratch(1, shape)
}

/**
 * Gradients of `rmsNorm`. With r = 1 / √(mean(x²) + eps), n = r · x and g = dOutput · (offset + weight):
 *
 *     dX = r · (g − n · mean(g · n))        dWeight += Σ over rows of dOutput · n
 *
 * x, dOutput and dX are [..., D] of f32, f16 or bf16, D at most 8,192; a weight shared by heads takes x [N, H, D]. Computed in
 * f32, always in the same order; nothing is allocated.
 *
 * Throws `shape`, `dtype`, `unsupported` (longer rows, leading dimensions whose strides are not those of two nested ones), and
 * what `Device.run` throws.
 */
export function rmsNormBackward(device: Device, options: NormBackwardOptions): void {
  checkFields('rmsNormBackward', 'options', options, fields)
  const call = { where: 'rmsNormBackward', name: 'rms-norm-backward', gradient }
  runNormBackward(device, { ...options, eps: options.eps ?? 1e-6 }, call)
}

const gradient: NormGradient = ({ x, g, mean, eps }) => {
  const r = mean(x.mul(x)).add(eps).rsqrt() //                    [tileN, 1]
  const normalized = x.mul(r) //                                  [tileN, tileD]
  return { normalized, dX: g.sub(normalized.mul(mean(g.mul(normalized)))).mul(r) }
}

const fields: FieldsOf<NormBackwardOptions> = {
  x: true,
  weight: true,
  eps: true,
  offset: true,
  dOutput: true,
  dX: true,
  accumulateX: true,
  dWeight: true,
  scratch: true,
}
