import { FoveaError } from '../../tile/index.ts'

/** What a learning rate is multiplied by at a step, counted from 1. */
export type Schedule = (step: number) => number

/** Number of steps of a part of a schedule: a count, or with a fraction below 1 that part of all steps. */
export function stepCount(where: string, field: string, value: number, steps: number): number {
  if (!(value >= 0) || (value >= 1 && !Number.isInteger(value)))
    throw new FoveaError(
      'argument',
      where,
      `${field} must be a whole number ≥ 0 or a fraction of the steps below 1, got ${value}`,
    )
  const count = value < 1 ? Math.round(value * steps) : value
  if (count > steps) throw new FoveaError('argument', where, `${field} ${count} is more than all ${steps} steps`)
  return count
}

/** Throws `argument` unless these are whole numbers ≥ 1 (`steps`), or in 0 … 1 (the rest). */
export function checkFactors(where: string, steps: number, factors: Readonly<Record<string, number>>): void {
  if (!Number.isInteger(steps) || steps < 1)
    throw new FoveaError('argument', where, `steps must be a whole number ≥ 1, got ${steps}`)
  for (const [field, value] of Object.entries(factors))
    if (!(value >= 0 && value <= 1)) throw new FoveaError('argument', where, `${field} must be in 0 … 1, got ${value}`)
}

/** The half cosine from 1 at 0 to 0 at 1. */
export function halfCosine(progress: number): number {
  return 0.5 * (1 + Math.cos(Math.PI * Math.min(1, Math.max(0, progress))))
}
