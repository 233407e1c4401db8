import type { Device, Tensor } from '../device/device.ts'
import { accumulate } from '../nn/accumulate.ts'
import type { Activation } from '../nn/activations.ts'
import { embed } from '../nn/embedding.ts'
import { gateHeads } from '../nn/gate-heads.ts'
import { linear } from '../nn/linear.ts'
import { normalise } from './apply-norm.ts'
import { addSublayer } from './enqueue-mlp.ts'
import type { PlacedPerLayer, PlacedPerLayerBranch } from './placed-per-layer.ts'
import type { PerLayerViews, StepViews } from './step-views.ts'

/** Enqueues the embeddings of each layer, of the step's tokens and of x as the first layer is given it. */
export function embedPerLayer(
  device: Device,
  { spec, table, projection, norm }: PlacedPerLayer,
  { embeddings, projected }: PerLayerViews,
  { ids, x }: Pick<StepViews, 'ids' | 'x'>,
): void {
  linear(device, { x, weight: projection, output: projected })
  const parts = (tensor: typeof projected) => tensor.view({ shape: [tensor.size / spec.size, spec.size] })
  const [from, to] = [parts(projected), parts(embeddings)]
  normalise(device, norm, from, to)
  from.dispose()
  to.dispose()
  embed(device, { table, ids, scale: spec.scale, output: projected })
  accumulate(device, { x: projected, output: embeddings })
}

const asItIs: Activation = (x) => x

/** x += norm(output · (activation(gate · x) · e)), e the embedding of this layer. */
export function addPerLayer(
  device: Device,
  perLayer: PlacedPerLayer,
  index: number,
  views: PerLayerViews,
  step: StepViews,
): void {
  const { output, norm } = perLayer.layers[index] as PlacedPerLayerBranch
  addSublayer(device, gatePerLayer(device, perLayer, index, views, step.x), output, norm, step)
}

/** activation(gate · x) · e, e the embedding of this layer */
export function gatePerLayer(
  device: Device,
  { spec, layers }: PlacedPerLayer,
  index: number,
  { embeddings, gated }: PerLayerViews,
  x: Tensor,
): Tensor {
  const { gate } = layers[index] as PlacedPerLayerBranch
  linear(device, { x, weight: gate, output: gated, activation: spec.activation })
  const own = embeddings.slice(1, index * spec.size, (index + 1) * spec.size)
  gateHeads(device, { gate: own, activation: asItIs, output: gated })
  own.dispose()
  return gated
}
