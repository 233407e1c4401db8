import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { checkFactors, halfCosine, type Schedule, stepCount } from './schedule.ts'

export interface OneCycleOptions {
  /** of the whole run */
  readonly steps: number
  /** steps on the way up, or a fraction of all (0.3) */
  readonly rise?: number
  /** where it begins: 1 / divisor (25) */
  readonly divisor?: number
  /** where it ends: 1 / divisor / finalDivisor (10,000) */
  readonly finalDivisor?: number
}

/**
 * One cycle (Smith and Topin 2017, "Super-Convergence", arXiv 1708.07120): half a cosine up from 1 / divisor to 1 over `rise`
 * steps, another one down to 1 / (divisor · finalDivisor). Throws `argument`.
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  checkFields('oneCycle', 'options', options, fields)
  const { steps, rise = 0.3, divisor = 25, finalDivisor = 1e4 } = options
  checkFactors('oneCycle', steps, {})
  const rising = stepCount('oneCycle', 'rise', rise, steps)
  for (const [field, value] of Object.entries({ divisor, finalDivisor }))
    if (!(value >= 1 && Number.isFinite(value)))
      throw new FoveaError('argument', 'oneCycle', `${field} must be a number ≥ 1, got ${value}`)
  const [first, last] = [1 / divisor, 1 / divisor / finalDivisor]
  return (step) =>
    step <= rising
      ? 1 + (first - 1) * halfCosine((step - 1) / Math.max(1, rising - 1))
      : last + (1 - last) * halfCosine((step - rising) / Math.max(1, steps - rising))
}

const fields: FieldsOf<OneCycleOptions> = { steps: true, rise: true, divisor: true, finalDivisor: true }
