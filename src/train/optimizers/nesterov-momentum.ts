import type { Device, Tensor } from '../../device/device.ts'
import type { Value } from '../../tile/index.ts'
import type { OptimizerMemory } from './optimizer.ts'
import type { Segments } from './segments.ts'
import { updateSegments } from './update-segments.ts'

/**
 * b = μ b + (1 − μ) g; then in the place of the gradients ĝ = nesterov ? μ b + (1 − μ) g : b, and Σ ĝ² over each segment as
 * `square` of the scratch: the beginning of Muon and AuON.
 */
export function nesterovMomentum(
  device: Device,
  segments: Segments,
  { gradient, states, scratch, step }: OptimizerMemory & { readonly gradient: Tensor },
  { momentum, nesterov }: { readonly momentum: number; readonly nesterov: boolean },
): void {
  updateSegments(
    device,
    'nesterov-momentum',
    segments,
    { update: { gradient, momentum: states.momentum as Tensor }, sums: ['square'], scratch, step },
    (values, now) => {
      const g = (values.gradient as Value).mul(now.gradientFactor).mul(1 - momentum)
      const b = (values.momentum as Value).mul(momentum).add(g)
      const direction = nesterov ? b.mul(momentum).add(g) : b
      return { momentum: b, gradient: direction, square: direction.mul(direction) }
    },
  )
}
