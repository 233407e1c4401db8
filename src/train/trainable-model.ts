import type { Device, Tensor } from '../device/device.ts'
import type { ParameterStore } from './parameter-store.ts'
import type { ComputeDType } from './precision.ts'
import type { TableRows } from './tape/embedding.ts'
import type { OutputHead } from './tape/output-head.ts'
import type { Tape } from './tape/tape.ts'
import type { Variable } from './tape/variable.ts'

/** Sizes of a step: B rows of T tokens. */
export interface StepShape {
  readonly batch: number
  readonly length: number
}

/** Tensors that a step reads; what is in them changes from step to step. */
export interface StepInputs {
  readonly tokens: TableRows // of [B · T] ids
  /** numbers of the documents in each row; null: a row is one document */
  readonly documents: Tensor | null // i32 [B, T]
  /** places of tokens in their documents, for a model with learned positions; null: those in the row */
  readonly positions: TableRows | null // of [B · T] positions
}

/** A model made ready for steps of one shape. */
export interface PreparedModel {
  /** Enqueues the computation of the last hidden states [B · T, C]. */
  hidden(tape: Tape): Variable
  readonly head: OutputHead
  /** bytes that it holds beside parameters and workspace */
  readonly bytes: number
  dispose(): void
}

/** A model of next tokens that `createTrainer` trains. */
export interface TrainableModel {
  readonly parameters: ParameterStore
  readonly vocabSize: number
  /** rows of its table of learned positions; 0 or absent: it has none */
  readonly learnedPositions?: number
  /** what it computes in: f16 has its losses scaled */
  readonly precision: ComputeDType
  /** what a saved run must agree in to go on */
  readonly description: Readonly<Record<string, string | number>>
  /** Makes ready what a step needs. Throws `capacity` for rows longer than the model's positions, and what its kernels throw. */
  prepare(shape: StepShape, inputs: StepInputs): Promise<PreparedModel>
}

/** Which activations a step keeps: all; the input of every layer; the input of every √n-th of n layers. */
export type Checkpointing = (typeof checkpointings)[number]

export const checkpointings = ['none', 'layer', 'sqrt'] as const

/** A model that can say what it takes before it takes it. */
export interface PlannableModel extends TrainableModel {
  /** The same model on another device, with undefined weights. */
  planned(device: Device, changes: { readonly checkpointing?: Checkpointing }): TrainableModel
}
