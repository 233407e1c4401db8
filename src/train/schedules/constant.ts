import { checkFactors, type Schedule, stepCount } from './schedule.ts'

export interface ConstantOptions {
  /** of the whole run */
  readonly steps: number
  /** steps of linear warm-up, or a fraction of all (0) */
  readonly warmup?: number
}

/** min(1, step / warmup): full rate, after an optional warm-up. Throws `argument`. */
export function constant({ steps, warmup = 0 }: ConstantOptions): Schedule {
  checkFactors('constant', steps, {})
  const rising = stepCount('constant', 'warmup', warmup, steps)
  return (step) => (step <= rising ? step / rising : 1)
}
