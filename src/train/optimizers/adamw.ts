import { checkFields, type FieldsOf } from '../../tile/index.ts'
import { oneMinusPower } from '../step-values.ts'
import { elementwiseOptimizer } from './elementwise.ts'
import type { Optimizer } from './optimizer.ts'

export interface AdamWOptions {
  /** decay of the averages of the gradient and of its square ([0.9, 0.999]) */
  readonly betas?: readonly [number, number]
  /** 1e-8 */
  readonly eps?: number
}

/**
 * AdamW: Loshchilov and Hutter 2017, "Decoupled Weight Decay Regularization", arXiv 1711.05101, algorithm 2, in the form of
 * torch.optim.AdamW (the decay is multiplied by the learning rate).
 *
 *     m = β₁ m + (1 − β₁) g
 *     v = β₂ v + (1 − β₂) g²
 *     w −= learningRate · (weightDecay · w + m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + eps))
 */
export function adamw(options: AdamWOptions = {}): Optimizer {
  checkFields('adamw', 'options', options, fields)
  const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 } = options
  return elementwiseOptimizer({
    name: 'adamw',
    states: ['m', 'v'],
    update({ weight, gradient, states, learningRate, weightDecay, step }) {
      const m = states.m?.mul(beta1).add(gradient.mul(1 - beta1)) as typeof weight
      const v = states.v?.mul(beta2).add(gradient.mul(gradient).mul(1 - beta2)) as typeof weight
      const stepSize = learningRate.div(oneMinusPower(beta1, step))
      const denominator = v.sqrt().mul(oneMinusPower(beta2, step).rsqrt()).add(eps)
      const decayed = weight.mul(learningRate.mul(weightDecay).neg().add(1))
      return { weight: decayed.sub(m.mul(stepSize).div(denominator)), states: { m, v } }
    },
  })
}

const fields: FieldsOf<AdamWOptions> = { betas: true, eps: true }
