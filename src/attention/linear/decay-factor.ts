import { exp, select, type Value } from '../../tile/index.ts'

/**
 * exp(logDecay) for a factor that a state is multiplied by again and again. A GPU's exp is off by a few units in the last
 * place, always to the same side; a state that remembers n steps collects n of them. Decays that forget slowly, for which that
 * counts, take the Taylor polynomial of degree 7 (remainder below 6e-9 for logDecay above −0.35), whose rounding has no side.
 */
export function decayFactor(logDecay: Value): Value {
  let sum = logDecay.mul(1 / 7).add(1)
  for (let n = 6; n >= 1; n--) sum = sum.mul(logDecay.mul(1 / n)).add(1)
  return select(logDecay.gt(-0.35), sum, exp(logDecay))
}
