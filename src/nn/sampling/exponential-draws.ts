import { mixBits, select, type Value } from '../../tile/index.ts'

/** Two words that a row's numbers come from. */
export interface DrawKey {
  readonly first: Value // u32
  readonly second: Value // u32
}

/** The key of a row's `counter`-th step: both numbers (u32 scalars) stirred into both words. */
export function drawKey(seed: Value, counter: Value): DrawKey {
  const first = mixBits(mixBits(counter.add(0x9e3779b9)).xor(seed))
  return { first, second: mixBits(first.xor(mixBits(seed.add(0x85ebca6b)).add(counter))) }
}

/**
 * A number of the exponential distribution (mean 1) for each index (i32), the same for the same key and index: −log(1 − q)
 * with q = (h + ½) / 2³², h a 32-bit hash of both, by its series where 1 − q would lose the digits of q.
 */
export function exponentialDraws(key: DrawKey, index: Value): Value {
  const h = mixBits(index.cast('u32').mul(0x9e3779b9).add(key.first), key.second)
  const q = h
    .cast('f32')
    .mul(2 ** -32)
    .add(2 ** -33)
    .min(1 - 2 ** -24)
  const series = q.mul(q.mul(q.mul(q.mul(1 / 4).add(1 / 3)).add(1 / 2)).add(1))
  return select(q.lt(2 ** -7), series, q.mul(-1).add(1).log().neg())
}
