import type { Device, Tensor } from '../../device/device.ts'
import { type Activation, gelu, relu, silu, tanh } from '../../nn/activations.ts'
import { linear } from '../../nn/linear.ts'
import { normalise } from '../apply-norm.ts'
import type { EncoderBufferName } from './encoder-buffers.ts'
import type { ScoreHeadSpec } from './encoder-spec.ts'
import type { PlacedScoreHead } from './encoder-weights.ts'

const activations: Readonly<Record<NonNullable<ScoreHeadSpec['dense']>['activation'], Activation>> = {
  tanh,
  gelu,
  relu,
  silu,
}

/** Enqueues score(norm(activation(dense(pooled)))) of pooled [S, C]; gives the scores [S, 1], in buffers of `view`. */
export function enqueueScores(
  device: Device,
  head: PlacedScoreHead,
  pooled: Tensor,
  view: (name: EncoderBufferName, shape: readonly number[]) => Tensor,
): Tensor {
  let h = pooled
  if (head.dense && head.spec.dense) {
    const output = view('dense', pooled.shape)
    linear(device, { x: h, weight: head.dense, activation: activations[head.spec.dense.activation], output })
    h = output
  }
  if (head.norm) h = normalise(device, head.norm, h, view(h === pooled ? 'dense' : 'pooled', pooled.shape))
  const scores = view('scores', [pooled.shape[0] as number, 1])
  linear(device, { x: h, weight: head.output, output: scores })
  return scores
}
