import type { Device, Tensor } from '../device/device.ts'
import { mixture } from '../nn/experts/mixture.ts'
import { routeTokens } from '../nn/experts/route-tokens.ts'
import { linear } from '../nn/linear.ts'
import type { PlacedMixture } from './placed-mixture.ts'
import type { MixtureViews } from './step-views.ts'

/** Enqueues the choice of experts, which the next `enqueueMixture` with these views follows, by the router of x. */
export function enqueueRouting(
  device: Device,
  { spec, router, selectionBias, expertScale }: PlacedMixture,
  x: Tensor,
  { logits, chosen, weights }: MixtureViews,
): void {
  linear(device, { x, weight: router, output: logits })
  routeTokens(device, { logits, routing: spec.routing, bias: selectionBias, expertScale, chosen, weights })
}

/** Enqueues what the chosen experts add: output (+)= Σ weight · expert(x). */
export function enqueueMixture(
  device: Device,
  { spec, up, down }: PlacedMixture,
  x: Tensor,
  { chosen, weights, buffers }: MixtureViews,
  output: Tensor,
  accumulate: boolean,
): void {
  const { gated, activation, combine, weighsInput } = spec
  mixture(device, {
    ...{ x, chosen, weights, up, down, gated, activation, combine, buffers, output, accumulate },
    weigh: weighsInput ? 'input' : 'output',
  })
}
