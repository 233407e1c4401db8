import type { Device } from '../../device/device.ts'
import type { TrainConfig } from '../config/train-config.ts'
import type { EvaluationRecord, StepRecord } from '../report/run-record.ts'

/** What a run tells while it goes on. */
export interface RunEvents {
  /** before the first step: what takes time */
  onPrepare?(what: string): void
  onStep?(record: StepRecord, total: number, bytes: number): void
  onEvaluation?(record: EvaluationRecord): void
  /** a checkpoint is whole on the disk */
  onSave?(step: number): void
}

export interface RunTrainingOptions extends RunEvents {
  readonly device: Device
  readonly config: TrainConfig
  /** where everything is written; a run that is in it goes on */
  readonly folder: string
  /** the run is saved and left where it stands */
  readonly signal?: AbortSignal
}

export interface RunOutcome {
  readonly steps: number
  readonly finished: boolean
  readonly evaluations: readonly EvaluationRecord[]
}
