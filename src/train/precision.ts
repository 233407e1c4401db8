/** What activations and the copies of matrices that products read are stored as. Sums, norms, softmax and losses are f32 always. */
export type ComputeDType = (typeof computeDTypes)[number]

export const computeDTypes = ['f32', 'f16', 'bf16'] as const

/** The scale of the loss, and with it of all gradients on their way back. */
export interface LossScale {
  readonly scale: number
  /** steps without an overflow since it last changed */
  readonly goodSteps: number
}

/** Where dynamic scaling begins, what it reaches, and after how many good steps it doubles. */
export const lossScaling = { initial: 2 ** 15, most: 2 ** 24, least: 1, growthSteps: 1000 } as const

/**
 * The scale that a run begins with: f16 has gradients below its smallest number (6e-8), which a factor lifts (Micikevicius
 * et al. 2018, arXiv 1710.03740, section 3.2); f32 and bf16 reach far enough without.
 */
export function initialLossScale(dtype: ComputeDType): LossScale {
  return { scale: dtype === 'f16' ? lossScaling.initial : 1, goodSteps: 0 }
}

/** The scale after a step: half after one whose gradients overflowed (it was skipped), double after `growthSteps` good ones. */
export function nextLossScale(dtype: ComputeDType, { scale, goodSteps }: LossScale, skipped: boolean): LossScale {
  if (dtype !== 'f16') return { scale, goodSteps: 0 }
  if (skipped) return { scale: Math.max(scale / 2, lossScaling.least), goodSteps: 0 }
  if (goodSteps + 1 < lossScaling.growthSteps) return { scale, goodSteps: goodSteps + 1 }
  return { scale: Math.min(scale * 2, lossScaling.most), goodSteps: 0 }
}
