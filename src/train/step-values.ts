import { load, scalar, type TensorParam, type Value } from '../tile/index.ts'
import { stepIndex } from './optimizers/optimizer.ts'

/** What a kernel reads of the step tensor, as scalars. */
export interface StepValues {
  /** before a group's factor */
  readonly learningRate: Value
  /** counted from 1, as f32 */
  readonly step: Value
  readonly gradientFactor: Value
  readonly lossScale: Value
  readonly predictions: Value
  /** bool: this step changes what it updates */
  readonly active: Value
}

export function stepValues(step: TensorParam): StepValues {
  const read = (field: Parameters<typeof stepIndex>[0]) => load(step, [stepIndex(field)])
  return {
    learningRate: read('learningRate'),
    step: read('step'),
    gradientFactor: read('gradientFactor'),
    lossScale: read('lossScale'),
    predictions: read('predictions'),
    active: read('skip').eq(0),
  }
}

/** Where there is no step tensor: everything is updated, and numbers are zeros. */
export const noStep: StepValues = {
  learningRate: scalar(0),
  step: scalar(0),
  gradientFactor: scalar(0),
  lossScale: scalar(0),
  predictions: scalar(0),
  active: scalar(true),
}

/**
 * 1 − rateᵗ for a step t ≥ 1 (f32 scalar) and 0 ≤ rate < 1: the correction of a moving average that started from zero.
 * Exact to rounding also where rateᵗ is near 1, where the plain difference cancels.
 */
export function oneMinusPower(rate: number, step: Value): Value {
  if (rate === 0) return scalar(1)
  const exponent = step.mul(Math.log(rate))
  // 1 − eʸ = −y (1 + y/2 (1 + y/3 (…)))
  let series = scalar(1)
  for (let n = 9; n >= 2; n--) series = series.mul(exponent).div(n).add(1)
  return exponent.gt(-0.5).select(series.mul(exponent).neg(), scalar(1).sub(exponent.exp()))
}
