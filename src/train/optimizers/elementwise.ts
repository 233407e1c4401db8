import type { Value } from '../../tile/index.ts'
import type { StepValues } from '../step-values.ts'
import { updateFlat } from '../update-flat.ts'
import type { Optimizer } from './optimizer.ts'

/** What the rule of an element-wise optimiser computes with: tiles, and scalars. */
export interface RuleInputs {
  readonly weight: Value
  /** gradient · gradientFactor */
  readonly gradient: Value
  readonly states: Readonly<Record<string, Value>>
  /** the group's factor included */
  readonly learningRate: Value
  readonly weightDecay: Value
  /** counted from 1 */
  readonly step: StepValues['step']
}

export interface ElementwiseRule {
  readonly name: string
  readonly states: readonly string[]
  update(inputs: RuleInputs): { readonly weight: Value; readonly states: Readonly<Record<string, Value>> }
}

/**
 * An optimiser whose rule looks at one element at a time, as one kernel for each group.
 * Traffic: the gradient once, weight and states twice, the narrow copy once.
 */
export function elementwiseOptimizer({ name, states, update }: ElementwiseRule): Optimizer {
  return {
    name,
    states,
    enqueue(device, { weight, gradient, compute, weightDecay, learningRateFactor }, memory) {
      const kept = Object.fromEntries(states.map((state) => [state, memory.states[state] as NonNullable<unknown>]))
      updateFlat(
        device,
        name,
        {
          read: { gradient },
          update: { weight, ...(kept as typeof memory.states) },
          ...(compute && { write: { compute } }),
          scalars: { weightDecay, learningRateFactor },
          step: memory.step,
        },
        (values, step, scalars) => {
          const next = update({
            weight: values.weight as Value,
            gradient: (values.gradient as Value).mul(step.gradientFactor),
            states: values,
            learningRate: step.learningRate.mul(scalars.learningRateFactor as Value),
            weightDecay: scalars.weightDecay as Value,
            step: step.step,
          })
          return { ...next.states, weight: next.weight, compute: next.weight }
        },
      )
    },
  }
}
