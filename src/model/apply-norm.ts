import type { Device, Tensor } from '../device/device.ts'
import { layerNorm } from '../nn/layer-norm.ts'
import type { LinearWeight } from '../nn/place-linear.ts'
import { rmsNorm } from '../nn/rms-norm.ts'
import { type FusedNorm, fusesNorm } from '../nn/weights/fused-norm.ts'
import type { PlacedNorm } from './placed-norm.ts'

/** What a linear layer reads: x, with a norm that its own kernels apply. */
export interface LinearInput {
  readonly x: Tensor
  readonly norm?: FusedNorm
}

/** What a linear layer reads: x with a norm that its own kernels apply, where they can, or what is normalised into `output`. */
export function normalised(
  device: Device,
  norm: PlacedNorm | null,
  reader: LinearWeight,
  x: Tensor,
  output: Tensor,
): LinearInput {
  if (!norm) return { x }
  const { spec, weight } = norm
  if (spec.kind === 'rms' && fusesNorm(reader, x.shape[0] as number))
    return { x, norm: { weight, eps: spec.eps, offset: spec.offset } }
  return { x: normalise(device, norm, x, output) }
}

export function normalise(device: Device, { spec, weight, bias }: PlacedNorm, x: Tensor, output: Tensor): Tensor {
  const { eps, offset } = spec
  if (spec.kind === 'rms') return rmsNorm(device, { x, weight, eps, offset, output })
  return layerNorm(device, { x, weight, ...(bias && { bias }), eps, offset, output })
}
