import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, type Value } from '../../tile/index.ts'
import type { ParameterGroup } from '../parameters.ts'
import { updateFlat } from '../update-flat.ts'
import { elementwiseOptimizer } from './elementwise.ts'
import type { Optimizer, OptimizerMemory } from './optimizer.ts'

export interface SophiaOptions {
  /** decay of the averages of the gradient and of the curvature ([0.96, 0.99]) */
  readonly betas?: readonly [number, number]
  /** the fraction of the curvature that divides the momentum (0.05): smaller means that more elements are clipped */
  readonly gamma?: number
  /** 1e-12 */
  readonly eps?: number
  /** steps between estimates of the curvature (10) */
  readonly every?: number
}

/**
 * Sophia-G: Liu et al. 2023, "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training", arXiv
 * 2305.14342, algorithm 3 with the Gauss–Newton–Bartlett estimator of algorithm 2.
 *
 *     m = β₁ m + (1 − β₁) g
 *     w = w (1 − learningRate · weightDecay) − learningRate · clip(m / max(gamma · h, eps), −1, 1)
 *     every k steps, before this: h = β₂ h + (1 − β₂) · B · ĝ²
 *
 * where ĝ is the gradient of the mean loss over the batch's B predictions with labels drawn from the model's own
 * distribution: `curvature`, for which whoever drives the steps computes it into the gradients by an extra backward at steps 1,
 * 1 + k, 1 + 2k, …. Where h is 0 the update is learningRate · sign(m).
 */
export function sophia(options: SophiaOptions = {}): Optimizer {
  checkFields('sophia', 'options', options, fields)
  const { betas: [beta1, beta2] = [0.96, 0.99], gamma = 0.05, eps = 1e-12, every = 10 } = options
  return {
    ...elementwiseOptimizer({
      name: 'sophia',
      states: ['m', 'h'],
      update({ weight, gradient, states, learningRate, weightDecay }) {
        const m = (states.m as Value).mul(beta1).add(gradient.mul(1 - beta1))
        const h = states.h as Value
        const clipped = m.div(h.mul(gamma).max(eps)).max(-1).min(1)
        const decayed = weight.mul(learningRate.mul(weightDecay).neg().add(1))
        return { weight: decayed.sub(clipped.mul(learningRate)), states: { m, h } }
      },
    }),
    curvature: {
      every,
      enqueue: (device: Device, { gradient }: ParameterGroup, { states, step }: OptimizerMemory) =>
        updateFlat(
          device,
          'sophia-curvature',
          { read: { gradient }, update: { h: states.h as Tensor }, step },
          ({ gradient: estimate, h }, { gradientFactor, predictions }) => {
            const g = (estimate as Value).mul(gradientFactor)
            return { h: (h as Value).mul(beta2).add(g.mul(g).mul(predictions.mul(1 - beta2))) }
          },
        ),
    },
  }
}

const fields: FieldsOf<SophiaOptions> = { betas: true, gamma: true, eps: true, every: true }
