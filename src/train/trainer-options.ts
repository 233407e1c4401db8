import type { Device } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import type { MovingAverage } from './averaging/moving-average.ts'
import type { BatchSource } from './data/batch.ts'
import type { Optimizer } from './optimizers/optimizer.ts'
import type { ParameterGroup } from './parameters.ts'
import type { ComputeDType } from './precision.ts'
import type { Schedule } from './schedules/schedule.ts'
import type { TrainableModel } from './trainable-model.ts'
import { type CheckedStage, checkStages, type TrainingStage } from './training-stages.ts'

export interface TrainerOptions {
  readonly device: Device
  readonly model: TrainableModel
  /** one for all parameters, or several by the names that the model's groups give */
  readonly optimizer: Optimizer | Readonly<Record<string, Optimizer>>
  /** of groups whose factor is 1 */
  readonly learningRate: number
  /** what the learning rate is multiplied by at a step, counted from 1 (1) */
  readonly schedule?: Schedule
  /** batches of one shape, or of one after another */
  readonly source: BatchSource | readonly TrainingStage[]
  /** batches whose gradients make one step, where stages do not say (1) */
  readonly accumulate?: number
  /** largest global norm of the gradients; null: any (1) */
  readonly maxNorm?: number | null
  /** keeps an average of the weights, for evaluation and export (none) */
  readonly averaging?: MovingAverage
  /** bytes that the run may take of the device, the model included; by default what the device says that it has */
  readonly memoryLimit?: number
  /** ends the run: the next step rejects with `cancelled` */
  readonly signal?: AbortSignal
}

/** The options with their defaults. */
export interface CheckedTrainerOptions {
  readonly stages: readonly CheckedStage[]
  readonly maxNorm: number | null
  readonly precision: ComputeDType
  readonly optimizerOf: (group: ParameterGroup) => Optimizer
}

/** Throws `argument` naming the field. */
export function checkTrainerOptions(options: TrainerOptions): CheckedTrainerOptions {
  checkFields('createTrainer', 'options', options, fields)
  const fault = (message: string) => new FoveaError('argument', 'createTrainer', message)
  const { maxNorm = 1, optimizer, model } = options
  const stages = checkStages(options.source, options.accumulate)
  if (maxNorm !== null && !(maxNorm > 0)) throw fault(`maxNorm must be above 0, or null, got ${maxNorm}`)
  if (!(options.learningRate >= 0 && options.learningRate < Number.POSITIVE_INFINITY))
    throw fault(`learningRate must be a number of at least 0, got ${options.learningRate}`)
  if (model.parameters.groups.length === 0) throw fault('the model has nothing to train: all its parameters are frozen')
  return {
    stages,
    maxNorm,
    precision: model.precision,
    optimizerOf: optimizersByGroup(optimizer, fault, model.parameters.groups),
  }
}

function optimizersByGroup(
  given: TrainerOptions['optimizer'],
  fault: (message: string) => FoveaError,
  groups: readonly ParameterGroup[],
): (group: ParameterGroup) => Optimizer {
  if (isOptimizer(given)) return () => given
  const names = Object.keys(given)
  for (const group of groups) {
    const optimizer = group.optimizer === undefined ? undefined : given[group.optimizer]
    if (!optimizer)
      throw fault(
        `the group ${group.name} names the optimiser ${group.optimizer ?? '(none)'}, given are ${names.join(', ')}`,
      )
  }
  // by name: a plan asks for groups of its own
  return (group) => given[group.optimizer as string] as Optimizer
}

function isOptimizer(given: TrainerOptions['optimizer']): given is Optimizer {
  return typeof (given as Optimizer).enqueue === 'function'
}

const fields: FieldsOf<TrainerOptions> = {
  device: true,
  model: true,
  optimizer: true,
  learningRate: true,
  schedule: true,
  source: true,
  accumulate: true,
  maxNorm: true,
  averaging: true,
  memoryLimit: true,
  signal: true,
}
