import type { Device, Tensor } from '../../device/device.ts'
import type { ParameterGroup } from '../parameters.ts'

/**
 * What changes from step to step, as the elements of one f32 tensor [8] on the device, so that a recorded step replays with
 * new values: `learningRate` and `step` (counted from 1) are written by the host; `gradientFactor` (what every gradient is
 * multiplied by: clipping and 1 / lossScale together) and `skip` (≠ 0: nothing changes in this step) by `enqueueClip`;
 * `predictions` is how many targets the mean loss is over.
 */
export const stepFields = [
  'learningRate',
  'step',
  'gradientFactor',
  'skip',
  'lossScale',
  'seed',
  'beta',
  'predictions',
] as const

export type StepField = (typeof stepFields)[number]

/** Place of a field in the step tensor. */
export function stepIndex(field: StepField): number {
  return stepFields.indexOf(field)
}

/** The tensors of one group that an optimiser reads and writes besides its weights and gradients. */
export interface OptimizerMemory {
  readonly states: Readonly<Record<string, Tensor>> // f32 [group.size] each
  readonly scratch: Readonly<Record<string, Tensor>> // as `Optimizer.scratch` asks for
  readonly step: Tensor // f32 [8], see stepFields
}

/** A tensor that an optimiser wants while it updates a group. */
export interface ScratchTensor {
  readonly shape: readonly number[]
  /** f32 */
  readonly dtype?: 'f32' | 'f16'
}

export interface CurvatureEstimate {
  readonly every: number
  /** `group.gradient` · gradientFactor is that of the mean loss over `predictions` labels drawn from the model's distribution */
  enqueue(device: Device, group: ParameterGroup, memory: OptimizerMemory): void
}

/** How the weights of a group follow from their gradients. */
export interface Optimizer {
  readonly name: string
  /** flat f32 states that it keeps for each group, all zero at first */
  readonly states: readonly string[]
  /** the scratch that it needs for a group, by name; contents need not be kept from step to step */
  scratch?(group: ParameterGroup): Readonly<Record<string, ScratchTensor>>
  /**
   * Enqueues the update of one group from gradient · gradientFactor, and of its narrow copy; nothing at all changes where
   * skip ≠ 0. What the gradients hold afterwards is undefined. Allocates nothing but constant tables (made when it is first
   * called for a group).
   */
  enqueue(device: Device, group: ParameterGroup, memory: OptimizerMemory): void
  /** for optimisers that follow the loss's curvature: an extra call at steps 1, 1 + every, … before `enqueue`, see `sophia` */
  readonly curvature?: CurvatureEstimate
}
