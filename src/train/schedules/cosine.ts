import { checkFields, type FieldsOf } from '../../tile/index.ts'
import { checkFactors, halfCosine, type Schedule, stepCount } from './schedule.ts'

export interface CosineOptions {
  /** of the whole run */
  readonly steps: number
  /** steps of linear warm-up, or a fraction of all (0) */
  readonly warmup?: number
  /** where it ends (0) */
  readonly final?: number
}

/**
 * Linear warm-up, then half a cosine to `final` (Loshchilov and Hutter 2016, "SGDR", arXiv 1608.03983, equation 5, without
 * restarts): final + (1 − final) (1 + cos(π p)) / 2, p = (step − warmup) / (steps − warmup). Throws `argument`.
 */
export function cosine(options: CosineOptions): Schedule {
  checkFields('cosine', 'options', options, fields)
  const { steps, warmup = 0, final = 0 } = options
  checkFactors('cosine', steps, { final })
  const rising = stepCount('cosine', 'warmup', warmup, steps)
  return (step) =>
    step <= rising ? step / rising : final + (1 - final) * halfCosine((step - rising) / Math.max(1, steps - rising))
}

const fields: FieldsOf<CosineOptions> = { steps: true, warmup: true, final: true }
