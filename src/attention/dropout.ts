import { mixBits, select, type Value } from '../tile/index.ts'
import type { Captured, Position } from './hooks.ts'

/** Drops attention weights (Srivastava et al., "Dropout", JMLR 15, 2014), the same ones whenever `seed` holds the same. */
export interface Dropout {
  /** probability that a weight becomes 0, at least 0 and below 1; what stays is multiplied by 1 / (1 − rate) */
  readonly rate: number
  /** i32 [2]: read by every run, so its contents may change between runs of one kernel */
  readonly seed: Captured
}

/**
 * 0 or 1 / (1 − rate) for every pair of a query and a key: dropped when h < rate · 2³², h = a 32-bit hash of (seed, batch,
 * head, q, k). A counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): nothing is
 * kept, so the backward pass draws the same numbers in its own order, and tiles of any shape and orientation agree. Two words
 * are made per row from everything but k; each pair then costs one round of `mixBits` that takes both.
 */
export function dropoutFactor(
  { rate, seed }: Dropout,
  { batch, head, q, k }: Omit<Position, 'qLength' | 'kLength'>,
): Value {
  const [one, two] = [bits(seed.at(0)), bits(seed.at(1))]
  const row = [batch, head, q].map((index) => index.cast('u32'))
  const stir = (start: Value) => row.reduce((word, index) => mixBits(word.xor(index)), start)
  const first = stir(mixBits(one.add(0x9e3779b9), two))
  const second = stir(mixBits(two.add(0x85ebca6b), one))
  const hash = mixBits(k.cast('u32').mul(0x9e3779b9).add(first), second)
  return select(hash.lt(Math.floor(rate * 2 ** 32)), 0, 1 / (1 - rate))
}

/** The bits of an i32 as a u32: a cast would make negative numbers 0. */
function bits(word: Value): Value {
  const half = (shift: number) => word.shr(shift).and(0xffff).cast('u32')
  return half(16).shl(16).or(half(0))
}
