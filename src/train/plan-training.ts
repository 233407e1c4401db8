import type { Device } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { countingDevice } from './counting-device.ts'
import type { Checkpointing, PlannableModel, StepShape } from './trainable-model.ts'
import { TrainingStep, type TrainingStepOptions } from './training-step.ts'

/** What a run takes of its device, in bytes. */
export interface TrainingPlan {
  /** weights, gradients, narrow copies */
  readonly parameters: number
  /** of the optimisers, and averages */
  readonly states: number
  /** what is kept for the way back, and scratch */
  readonly activations: number
  /** batches, tables, work lists */
  readonly other: number
  readonly total: number
}

export interface TrainingPlanRequest extends Omit<TrainingStepOptions, 'model'> {
  readonly device: Device
  readonly model: PlannableModel
}

/**
 * What training will allocate, found by going through a step on a rehearsal of the device: nothing is allocated, and nothing
 * computed. `changes`: for the same model with other activations kept. Rejects with what a step is refused with, limits of
 * tensors and kernels included; that memory is in use by others is found out by `createTrainer`.
 */
export async function planTraining(
  request: TrainingPlanRequest,
  changes: { readonly checkpointing?: Checkpointing } = {},
): Promise<TrainingPlan> {
  checkFields('planTraining', 'request', request, trainingPlanFields)
  checkFields('planTraining', 'changes', changes, planTrainingFields)
  return countStep(request.device.rehearsal(), request, changes)
}

/** What a step asks of a device that holds nothing. */
async function countStep(
  counting: Device,
  request: TrainingPlanRequest,
  changes: { readonly checkpointing?: Checkpointing } = {},
): Promise<TrainingPlan> {
  const { model, device: _device, ...options } = request
  const planned = model.planned(counting, changes)
  const step = await TrainingStep.create(counting, { ...options, model: planned })
  const parts = { parameters: planned.parameters.bytes, ...step.bytes }
  const plan = { ...parts, total: Math.max(counting.memory.allocated, sum(Object.values(parts))) }
  counting.dispose()
  return plan
}

/**
 * Says that a run does not fit before anything of a step is allocated. Rejects with `memory`, naming what it needs and the
 * first smaller run that would fit: fewer activations kept, then smaller batches that are added up. `limit`: bytes for the
 * whole run; by default what the device says it has, less what others hold of it; without either nothing is refused.
 */
export async function checkMemory(request: TrainingPlanRequest, limit?: number): Promise<void> {
  const { device, model, shape } = request
  const { maxBytes } = device.info.limits
  const others = device.memory.allocated - model.parameters.bytes
  const most = limit ?? (maxBytes === undefined ? undefined : maxBytes - Math.max(0, others))
  if (most === undefined) return
  // by bytes alone: kernels are not compiled for it, and what no tensor can be is said with what would fit
  const plan = await countStep(countingDevice(device), request)
  if (plan.total <= most) return
  const { total, ...parts } = plan
  const named = Object.entries(parts).map(([what, bytes]) => `${what} ${megabytes(bytes)}`)
  throw new FoveaError(
    'memory',
    'createTrainer',
    `steps of ${shape.batch} · ${shape.length} tokens need ${megabytes(total)} (${named.join(', ')}), there are ${megabytes(most)}; ${await fitting(request, most)}`,
  )
}

async function fitting(request: TrainingPlanRequest, most: number): Promise<string> {
  const { batch } = request.shape
  const batches = Array.from({ length: Math.floor(Math.log2(batch)) + 1 }, (_, i) => Math.floor(batch / 2 ** i))
  let least: { readonly text: string; readonly total: number } | null = null
  for (const size of batches)
    for (const checkpointing of ['none', 'sqrt', 'layer'] as const) {
      const shape: StepShape = { ...request.shape, batch: size }
      const { total } = await countStep(countingDevice(request.device), { ...request, shape }, { checkpointing })
      const kept = `checkpointing ${checkpointing}`
      const text = size === batch ? kept : `batches of ${size}, accumulate ${Math.ceil(batch / size)} and ${kept}`
      if (total <= most) return `${text} would fit with ${megabytes(total)}`
      if (!least || total < least.total) least = { text, total }
    }
  return `even ${least?.text} would need ${megabytes(least?.total ?? 0)}`
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`

const trainingPlanFields: FieldsOf<TrainingPlanRequest> = {
  device: true,
  model: true,
  shape: true,
  documents: true,
  optimizerOf: true,
  maxNorm: true,
  averaging: true,
  states: true,
}

const planTrainingFields: FieldsOf<NonNullable<Parameters<typeof planTraining>[1]>> = { checkpointing: true }
