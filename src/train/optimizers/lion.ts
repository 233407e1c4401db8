import { checkFields, type FieldsOf, type Value } from '../../tile/index.ts'
import { elementwiseOptimizer } from './elementwise.ts'
import type { Optimizer } from './optimizer.ts'

export interface LionOptions {
  /** share of the momentum in the update, and its decay ([0.9, 0.99]) */
  readonly betas?: readonly [number, number]
}

/**
 * Lion: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675, algorithm 2. Its learning rate is
 * a third to a tenth of AdamW's, its weight decay as much larger.
 *
 *     w −= learningRate · (sign(β₁ m + (1 − β₁) g) + weightDecay · w)
 *     m = β₂ m + (1 − β₂) g
 */
export function lion(options: LionOptions = {}): Optimizer {
  checkFields('lion', 'options', options, fields)
  const { betas: [beta1, beta2] = [0.9, 0.99] } = options
  return elementwiseOptimizer({
    name: 'lion',
    states: ['momentum'],
    update({ weight, gradient, states, learningRate, weightDecay }) {
      const m = states.momentum as Value
      const direction = m
        .mul(beta1)
        .add(gradient.mul(1 - beta1))
        .sign()
      return {
        weight: weight.sub(direction.add(weight.mul(weightDecay)).mul(learningRate)),
        states: { momentum: m.mul(beta2).add(gradient.mul(1 - beta2)) },
      }
    },
  })
}

const fields: FieldsOf<LionOptions> = { betas: true }
