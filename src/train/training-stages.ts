import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import type { BatchSource, JsonValue } from './data/batch.ts'

/** A part of a run whose batches have one shape: rows may grow longer as a run goes on. */
export interface TrainingStage {
  readonly source: BatchSource
  /** batches whose gradients make one step (1) */
  readonly accumulate?: number
  /** the last step of this stage; the last stage has none */
  readonly until?: number
}

export type CheckedStage = Required<TrainingStage>

/** The stages of a run, the last without end. Throws `argument` naming the field. */
export function checkStages(
  source: BatchSource | readonly TrainingStage[],
  accumulate: number | undefined,
): readonly CheckedStage[] {
  const fault = (message: string) => new FoveaError('argument', 'createTrainer', message)
  const given = isList(source) ? source : [{ source, ...(accumulate !== undefined && { accumulate }) }]
  if (given.length === 0) throw fault('source must be one, or a list of stages, got an empty list')
  let from = 0
  return given.map((stage, i) => {
    const name = isList(source) ? `source[${i}].` : ''
    checkFields('createTrainer', `source[${i}]`, stage, fields)
    const { accumulate: count = accumulate ?? 1, until = Number.POSITIVE_INFINITY } = stage
    if (!Number.isInteger(count) || count < 1)
      throw fault(`${name}accumulate must be a whole number of batches, got ${count}`)
    const { batch, length } = stage.source
    for (const [field, size] of Object.entries({ batch, length }))
      if (!Number.isInteger(size) || size < 1)
        throw fault(`${isList(source) ? name : ''}source.${field} must be a whole number, got ${size}`)
    const isLast = i === given.length - 1
    if (isLast !== (until === Number.POSITIVE_INFINITY) || !(until > from) || (!isLast && !Number.isInteger(until)))
      throw fault(
        `${name}until must be a step behind ${from}, and missing in the last stage only, got ${stage.until ?? 'none'}`,
      )
    from = until
    return { source: stage.source, accumulate: count, until }
  })
}

const fields: FieldsOf<TrainingStage> = { source: true, accumulate: true, until: true }

/** The stage that a step, counted from 1, belongs to. */
export function stageAt(stages: readonly CheckedStage[], step: number): CheckedStage {
  return stages.find(({ until }) => step <= until) as CheckedStage
}

/** What a saved run must agree in. */
export function describeStages(stages: readonly CheckedStage[]): JsonValue {
  return stages.map(({ source: { batch, length }, accumulate, until }) => ({
    batch,
    length,
    accumulate,
    until: Number.isFinite(until) ? until : null,
  }))
}

function isList(source: BatchSource | readonly TrainingStage[]): source is readonly TrainingStage[] {
  return Array.isArray(source)
}
