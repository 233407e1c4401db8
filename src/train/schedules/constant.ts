import { checkFields, type FieldsOf } from '../../tile/index.ts'
import { checkFactors, type Schedule, stepCount } from './schedule.ts'

export interface ConstantOptions {
  /** of the whole run */
  readonly steps: number
  /** steps of linear warm-up, or a fraction of all (0) */
  readonly warmup?: number
}

/** min(1, step / warmup): full rate, after an optional warm-up. Throws `argument`. */
export function constant(options: ConstantOptions): Schedule {
  checkFields('constant', 'options', options, fields)
  const { steps, warmup = 0 } = options
  checkFactors('constant', steps, {})
  const rising = stepCount('constant', 'warmup', warmup, steps)
  return (step) => (step <= rising ? step / rising : 1)
}

const fields: FieldsOf<ConstantOptions> = { steps: true, warmup: true }
