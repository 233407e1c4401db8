import { checkFields, type FieldsOf, type Value } from '../../tile/index.ts'
import { oneMinusPower } from '../step-values.ts'
import type { Optimizer } from './optimizer.ts'
import { madeOnce, segmentsOf } from './segments.ts'
import { sumScratch, updateSegments } from './update-segments.ts'

export interface LambOptions {
  /** decay of the averages of the gradient and of its square ([0.9, 0.999]) */
  readonly betas?: readonly [number, number]
  /** 1e-6 */
  readonly eps?: number
}

const sums = ['weightSquare', 'updateSquare']

/**
 * LAMB: You et al. 2019, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", arXiv 1904.00962,
 * algorithm 2 with φ(z) = z. Norms are those of each parameter.
 *
 *     m = β₁ m + (1 − β₁) g,  v = β₂ v + (1 − β₂) g²
 *     u = m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + eps) + weightDecay · w
 *     w −= learningRate · ‖w‖ / ‖u‖ · u    (the ratio is 1 where a norm is 0)
 *
 * u takes the place of the gradients, so that states are read and written once. Traffic: m, v and gradients twice, weights three
 * times, u once.
 */
export function lamb(options: LambOptions = {}): Optimizer {
  checkFields('lamb', 'options', options, fields)
  const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-6 } = options
  const tables = madeOnce((device, group) => segmentsOf(device, group.parameters))
  return {
    name: 'lamb',
    states: ['m', 'v'],
    scratch: ({ parameters }) => sumScratch(parameters, sums),
    enqueue(device, group, { states, scratch, step }) {
      const { gradient, weight, compute, weightDecay, learningRateFactor } = group
      const segments = tables(device, group)
      updateSegments(
        device,
        'lamb-moments',
        segments,
        { read: { weight }, update: { ...states, gradient }, sums, scratch, scalars: { weightDecay }, step },
        (values, now, scalars) => {
          const { weight: w } = values as { readonly weight: Value }
          const g = (values.gradient as Value).mul(now.gradientFactor)
          const m = (values.m as Value).mul(beta1).add(g.mul(1 - beta1))
          const v = (values.v as Value).mul(beta2).add(g.mul(g).mul(1 - beta2))
          const denominator = v.sqrt().mul(oneMinusPower(beta2, now.step).rsqrt()).add(eps)
          const direction = m.div(denominator.mul(oneMinusPower(beta1, now.step)))
          const u = direction.add(w.mul(scalars.weightDecay as Value))
          return { m, v, gradient: u, weightSquare: w.mul(w), updateSquare: u.mul(u) }
        },
      )
      updateSegments(
        device,
        'lamb-apply',
        segments,
        {
          read: { update: gradient },
          update: { weight },
          ...(compute && { write: { compute } }),
          ofSegment: Object.fromEntries(sums.map((sum) => [sum, scratch[sum] as typeof weight])),
          scalars: { learningRateFactor },
          step,
        },
        (values, now, scalars) => {
          const [ofWeight, ofUpdate] = sums.map((sum) => (values[sum] as Value).sqrt()) as [Value, Value]
          const trust = ofWeight.gt(0).and(ofUpdate.gt(0)).select(ofWeight.div(ofUpdate), 1)
          const rate = now.learningRate.mul(scalars.learningRateFactor as Value).mul(trust)
          const next = (values.weight as Value).sub((values.update as Value).mul(rate))
          return { weight: next, compute: next }
        },
      )
    },
  }
}

const fields: FieldsOf<LambOptions> = { betas: true, eps: true }
