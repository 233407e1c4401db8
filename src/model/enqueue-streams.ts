import type { Device, Tensor } from '../device/device.ts'
import { accumulate } from '../nn/accumulate.ts'
import { tanh } from '../nn/activations.ts'
import { runElementwise } from '../nn/elementwise.ts'
import { linear } from '../nn/linear.ts'
import { matchMagnitude } from '../nn/match-magnitude.ts'
import { multiply } from '../nn/multiply.ts'
import { correctStreams, mixStreams } from '../nn/streams.ts'
import { normalise } from './apply-norm.ts'
import { gatePerLayer } from './enqueue-per-layer.ts'
import type { PlacedPerLayer, PlacedPerLayerBranch } from './placed-per-layer.ts'
import type { PlacedStreams, PlacedStreamsLayer } from './placed-streams.ts'
import type { StepViews, StreamsViews } from './step-views.ts'

/** Enqueues the streams of x as the first layer is given it. */
export function openStreams(device: Device, { into }: PlacedStreams, { each }: StreamsViews, { x }: StepViews): void {
  copy(device, x, each[0] as Tensor)
  for (const [i, weight] of into.entries()) {
    const output = each[i + 1] as Tensor
    linear(device, { x, weight, output })
    matchMagnitude(device, { x, output })
  }
}

/** x = what is predicted of the active stream; all predictions stay for `correct`. */
export function predict(
  device: Device,
  { spec, layers }: PlacedStreams,
  index: number,
  views: StreamsViews,
  step: StepViews,
): void {
  const layer = layers[index] as PlacedStreamsLayer
  const { all, predicted, routed, prediction, each } = views
  route(device, layer, each[spec.active] as Tensor, views, step)
  linear(device, { x: routed, weight: layer.prediction, output: prediction })
  const { active } = spec
  mixStreams(device, { streams: all, coefficients: prediction, output: predicted, active, copy: step.x })
}

/** All streams corrected by x, what the layer made of the active one; then those but the first get their layer's embedding. */
export function correct(
  device: Device,
  { spec, layers }: PlacedStreams,
  index: number,
  views: StreamsViews,
  perLayer: PlacedPerLayer | null,
  step: StepViews,
): void {
  const layer = layers[index] as PlacedStreamsLayer
  const { all, predicted, routed, correction, each } = views
  const { x, y, h, z } = step
  route(device, layer, x, views, step)
  linear(device, { x: routed, weight: layer.correction, output: correction })
  const { active } = spec
  const { scale } = layer
  correctStreams(device, { streams: predicted, x, active, coefficients: correction, output: all, scale, scaled: y })
  if (!perLayer || !step.perLayer) return
  const { output: weight, norm } = perLayer.layers[index] as PlacedPerLayerBranch
  linear(device, { x: gatePerLayer(device, perLayer, index, step.perLayer, y), weight, output: z })
  normalise(device, norm, z, h)
  for (const output of each.slice(1)) accumulate(device, { x: h, output })
}

/** x = the mean of all streams, each but the first projected and made as large as that. */
export function joinStreams(
  device: Device,
  { spec, outOf }: PlacedStreams,
  views: StreamsViews,
  { x }: StepViews,
): void {
  const { each, eachPredicted } = views
  const [first] = each as [Tensor]
  copy(device, first, x)
  for (const [i, weight] of outOf.entries()) {
    const output = eachPredicted[i + 1] as Tensor
    linear(device, { x: each[i + 1] as Tensor, weight, output })
    matchMagnitude(device, { x: first, output })
    accumulate(device, { x: output, output: x })
  }
  multiply(device, { factor: 1 / spec.count, output: x })
}

function route(
  device: Device,
  { norm, router }: PlacedStreamsLayer,
  x: Tensor,
  { routed }: StreamsViews,
  { h }: StepViews,
): void {
  linear(device, { x: normalise(device, norm, x, h), weight: router, output: routed, activation: tanh })
}

function copy(device: Device, x: Tensor, output: Tensor): void {
  runElementwise(device, {
    where: 'copy',
    inputs: { x },
    outputs: { output },
    compute: (given) => ({ output: given.x }),
  })
}
