import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { checkFactors, type Schedule, stepCount } from './schedule.ts'

export interface WarmupStableDecayOptions {
  /** of the whole run */
  readonly steps: number
  /** steps of linear warm-up, or a fraction of all (0.02) */
  readonly warmup?: number
  /** steps of the decay at the end, or a fraction of all (0.2) */
  readonly decay?: number
  /** where it ends (0) */
  readonly final?: number
  /** shape of the decay, of the time p in it: `linear` 1 − p, `sqrt` 1 − √p (Hägele et al. 2024, arXiv 2405.18392) (linear) */
  readonly shape?: 'linear' | 'sqrt'
}

/**
 * Linear warm-up, full rate, decay to `final` (Hu et al. 2024, "MiniCPM", arXiv 2404.06395, section 4): a run can be prolonged
 * from before its decay. Throws `argument`, also where warm-up and decay are longer than the run.
 */
export function warmupStableDecay(options: WarmupStableDecayOptions): Schedule {
  checkFields('warmupStableDecay', 'options', options, fields)
  const { steps, warmup = 0.02, decay = 0.2, final = 0, shape = 'linear' } = options
  const where = 'warmupStableDecay'
  checkFactors(where, steps, { final })
  const rising = stepCount(where, 'warmup', warmup, steps)
  const falling = stepCount(where, 'decay', decay, steps)
  if (rising + falling > steps)
    throw new FoveaError(
      'argument',
      where,
      `warmup ${rising} and decay ${falling} are together more than all ${steps} steps`,
    )
  checkChoice(where, 'shape', shape, ['linear', 'sqrt'])
  return (step) => {
    if (step <= rising) return step / rising
    const progress = Math.min(1, Math.max(0, (step - (steps - falling)) / Math.max(1, falling)))
    return final + (1 - final) * (1 - (shape === 'sqrt' ? Math.sqrt(progress) : progress))
  }
}

const fields: FieldsOf<WarmupStableDecayOptions> = { steps: true, warmup: true, decay: true, final: true, shape: true }
