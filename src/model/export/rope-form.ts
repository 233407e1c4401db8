import type { RopeSpec } from '../decoder-spec.ts'

/** Frequencies as files state them: theta^(−2i / rotaryDim) / factor, each divided by its divisor where there are some. */
export interface RopeForm {
  readonly theta: number
  /** of linear scaling, 1 for none */
  readonly factor: number
  /** one for each pair where no theta and factor alone give the frequencies */
  readonly divisors: readonly number[] | null
}

/** relative difference from a geometric series that is rounding and no scaling */
const tolerance = 1e-6

/**
 * Finds base and scaling from the frequencies themselves. The base is that of the first two pairs; the divisors of
 * scalings that are no geometric series (Llama 3's, YaRN, LongRoPE) are relative to it, whatever it is.
 */
export function ropeForm({ inverseFrequencies, rotaryDim }: RopeSpec): RopeForm {
  const [first = 1, second] = inverseFrequencies
  const base = second === undefined ? 10_000 : (first / second) ** (rotaryDim / 2)
  const theta = nearWhole(base)
  const factor = nearWhole(1 / first)
  const divisors = inverseFrequencies.map((frequency, i) => theta ** ((-2 * i) / rotaryDim) / (factor * frequency))
  const plain = divisors.every((divisor) => Math.abs(divisor - 1) < tolerance)
  return { theta, factor, divisors: plain ? null : divisors }
}

/** Bases and factors are whole numbers but for the rounding of powers. */
function nearWhole(value: number): number {
  const whole = Math.round(value)
  return Math.abs(value - whole) < 1e-9 * value ? whole : value
}
