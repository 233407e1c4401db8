import type { Device, Tensor } from '../device/device.ts'
import { mixture } from '../nn/experts/mixture.ts'
import { routeTokens } from '../nn/experts/route-tokens.ts'
import { linear } from '../nn/linear.ts'
import type { PlacedMixture } from './placed-mixture.ts'
import type { MixtureViews } from './step-views.ts'

/** Enqueues what a token's experts add: output (+)= Σ weight · expert(x), experts and weights by the router of x. */
export function enqueueMixture(
  device: Device,
  { spec, router, selectionBias, up, down }: PlacedMixture,
  x: Tensor,
  { logits, chosen, weights, buffers }: MixtureViews,
  output: Tensor,
  accumulate: boolean,
): void {
  const { routing, gated, activation, combine, weighsInput } = spec
  linear(device, { x, weight: router, output: logits })
  routeTokens(device, { logits, routing, bias: selectionBias, chosen, weights })
  mixture(device, {
    ...{ x, chosen, weights, up, down, gated, activation, combine, buffers, output, accumulate },
    weigh: weighsInput ? 'input' : 'output',
  })
}
