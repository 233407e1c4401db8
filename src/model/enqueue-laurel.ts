import type { Device, Tensor } from '../device/device.ts'
import { accumulate } from '../nn/accumulate.ts'
import { linear } from '../nn/linear.ts'
import { multiply } from '../nn/multiply.ts'
import { normalise } from './apply-norm.ts'
import type { PlacedLayer } from './decoder-weights.ts'
import type { StepViews } from './step-views.ts'

/** z = h + norm(up · down · h), h the normalised input of attention, as `LaurelSpec` says; null without one. */
export function enqueueLaurel(device: Device, { laurel, norms }: PlacedLayer, step: StepViews): Tensor | null {
  if (!laurel) return null
  const { x, y, h, z } = step
  const input = norms.beforeAttention ? normalise(device, norms.beforeAttention, x, h) : x
  const inner = step.laurel.get(laurel.down.outFeatures) as Tensor
  linear(device, { x: input, weight: laurel.down, output: inner })
  linear(device, { x: inner, weight: laurel.up, output: y })
  normalise(device, laurel.norm, y, z)
  accumulate(device, { x: input, output: z })
  return z
}

/** x = (x + laurel) / √2, after attention was added to x. */
export function addLaurel(device: Device, laurel: Tensor, { x }: StepViews): void {
  accumulate(device, { x: laurel, output: x })
  multiply(device, { factor: Math.SQRT1_2, output: x })
}
