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
export function cosine({ steps, warmup = 0, final = 0 }: CosineOptions): Schedule {
  checkFactors('cosine', steps, { final })
  const rising = stepCount('cosine', 'warmup', warmup, steps)
  return (step) =>
    step <= rising ? step / rising : final + (1 - final) * halfCosine((step - rising) / Math.max(1, steps - rising))
}
