import type { JsonValue } from '../data/batch.ts'

/** One line of the log of a run, `train.jsonl`. */
export interface StepRecord {
  readonly step: number
  /** mean over the tokens with a target, in nats */
  readonly loss: number
  /** part of these tokens that were foreseen as the most likely */
  readonly accuracy: number
  readonly learningRate: number
  /** of all gradients, before clipping */
  readonly gradientNorm: number
  readonly tokensPerSecond: number
  /** since the run began, pauses left out */
  readonly seconds: number
  /** 0: no token had a target and nothing was changed; loss, accuracy and norm are 0. Left out otherwise */
  readonly targets?: number
  /** gradients overflowed and nothing was changed */
  readonly skipped?: boolean
}

/** What held-out rows say, another kind of line of the log. */
export interface EvaluationRecord {
  readonly step: number
  readonly heldOut: string
  readonly loss: number
  readonly accuracy: number
  /** of a text: log₂ of the likelihood per byte of UTF-8 */
  readonly bitsPerByte?: number
}

/** A row of a task with what the model answers. */
export interface TaskExample {
  /** what the row says, token by token; `asked` counts in the answers below */
  readonly tokens: readonly { readonly text: string; readonly target?: string; readonly predicted?: string }[]
}

/** All that a report shows of one run. */
export interface RunRecord {
  readonly name: string
  readonly config: JsonValue
  /** names and values, such as parameters, device, memory, time */
  readonly facts: readonly (readonly [name: string, value: string])[]
  readonly steps: readonly StepRecord[]
  readonly evaluations: readonly EvaluationRecord[]
  readonly samples: readonly { readonly prompt: string; readonly text: string }[]
  readonly examples: readonly TaskExample[]
}
