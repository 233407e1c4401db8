import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, type Value } from '../../tile/index.ts'
import type { OptimizerMemory } from '../optimizers/optimizer.ts'
import type { ParameterGroup } from '../parameters.ts'
import { updateFlat } from '../update-flat.ts'

export interface MovingAverageOptions {
  /** share of the average that stays at each step (0.999) */
  readonly decay?: number
  /** steps between switches; null: never (null) */
  readonly switchEvery?: number | null
}

type States = Pick<OptimizerMemory, 'states'>

/** An average of the weights over the steps. Its state is one flat f32 tensor for each group, `average`. */
export interface MovingAverage {
  readonly states: readonly ['average']
  readonly switchEvery: number | null
  /** average = weight: before the first step, not in a recording */
  start(device: Device, group: ParameterGroup, memory: States): void
  /** Enqueues what follows each step; nothing changes where skip ≠ 0. */
  enqueue(device: Device, group: ParameterGroup, memory: Omit<OptimizerMemory, 'scratch'>): void
  /** weight = average, narrow copy too: for switching. */
  enqueueSwitch(device: Device, group: ParameterGroup, memory: States): void
  /** The weights and their average change places, narrow copy too: to evaluate the average, and once more to go on. */
  enqueueExchange(device: Device, group: ParameterGroup, memory: States): void
}

/**
 * Exponential moving average of the weights (Polyak and Juditsky 1992; as in Tarvainen and Valpola 2017, arXiv 1703.01780):
 *
 *     average = d · average + (1 − d) · weight,  d = min(decay, t / (t + 9))
 *
 * at step t, so that the first weights are soon forgotten. With `switchEvery` it is switch EMA (Li et al. 2024, "Switch EMA: A
 * Free Lunch for Better Flatness and Sharpness", arXiv 2402.09240, algorithm 1): after every so many steps (the paper: an
 * epoch) whoever drives the steps calls `enqueueSwitch`, and training goes on from the average with the optimiser's states as
 * they are. Throws `argument`.
 */
export function movingAverage(options: MovingAverageOptions = {}): MovingAverage {
  checkFields('movingAverage', 'options', options, fields)
  const { decay = 0.999, switchEvery = null } = options
  if (!(decay >= 0 && decay < 1))
    throw new FoveaError('argument', 'movingAverage', `decay must be ≥ 0 and < 1, got ${decay}`)
  if (switchEvery !== null && !(Number.isInteger(switchEvery) && switchEvery >= 1))
    throw new FoveaError('argument', 'movingAverage', `switchEvery must be a whole number ≥ 1, got ${switchEvery}`)
  const averageOf = ({ states }: States) => states.average as Tensor
  return {
    states: ['average'],
    switchEvery,
    start(device, { weight }, memory) {
      updateFlat(
        device,
        'start-average',
        { read: { weight }, write: { average: averageOf(memory) } },
        ({ weight: w }) => ({ average: w as Value }),
      )
    },
    enqueue(device, { weight }, memory) {
      updateFlat(
        device,
        'moving-average',
        {
          read: { weight },
          update: { average: averageOf(memory) },
          scalars: { decay },
          step: memory.step,
        },
        ({ weight: w, average }, { step }, scalars) => {
          const kept = step.div(step.add(9)).min(scalars.decay as Value)
          const from = average as Value
          return { average: from.add((w as Value).sub(from).mul(kept.neg().add(1))) }
        },
      )
    },
    enqueueSwitch(device, { weight, compute }, memory) {
      updateFlat(
        device,
        'switch-average',
        { read: { average: averageOf(memory) }, write: { weight, ...(compute && { compute }) } },
        ({ average }) => ({ weight: average as Value, compute: average as Value }),
      )
    },
    enqueueExchange(device, { weight, compute }, memory) {
      updateFlat(
        device,
        'exchange-average',
        {
          update: { weight, average: averageOf(memory) },
          ...(compute && { write: { compute } }),
        },
        ({ weight: w, average }) => ({ weight: average as Value, average: w as Value, compute: average as Value }),
      )
    },
  }
}

const fields: FieldsOf<MovingAverageOptions> = { decay: true, switchEvery: true }
