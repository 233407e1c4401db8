import { checkFields, type FieldsOf } from '../../tile/index.ts'
import { elementwiseOptimizer } from './elementwise.ts'
import type { Optimizer } from './optimizer.ts'

export interface SgdOptions {
  /** 0.9 */
  readonly momentum?: number
  /** look ahead along the momentum (true) */
  readonly nesterov?: boolean
}

/**
 * Stochastic gradient descent with momentum (Polyak 1964), Nesterov's variant (Sutskever et al. 2013, "On the importance of
 * initialization and momentum in deep learning", equations 3 and 4), in the form of torch.optim.SGD without dampening.
 * Weight decay is coupled: it is part of the gradient.
 *
 *     g = gradient + weightDecay · w
 *     b = momentum · b + g
 *     w −= learningRate · (nesterov ? g + momentum · b : b)
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkFields('sgd', 'options', options, fields)
  const { momentum = 0.9, nesterov = true } = options
  return elementwiseOptimizer({
    name: 'sgd',
    states: momentum === 0 ? [] : ['momentum'],
    update({ weight, gradient, states, learningRate, weightDecay }) {
      const g = gradient.add(weight.mul(weightDecay))
      const b = states.momentum ? states.momentum.mul(momentum).add(g) : g
      const direction = states.momentum && nesterov ? g.add(b.mul(momentum)) : b
      return { weight: weight.sub(direction.mul(learningRate)), states: { momentum: b } }
    },
  })
}

const fields: FieldsOf<SgdOptions> = { momentum: true, nesterov: true }
