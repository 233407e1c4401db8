import { checkFields, type FieldsOf, FoveaError, mixBits, select, type Value } from '../tile/index.ts'
import type { Captured, Position } from './hooks.ts'

/** Drops attention weights (Srivastava et al., "Dropout", JMLR 15, 2014), the same ones whenever `seed` holds the same. */
export interface Dropout {
  /** probability that a weight becomes 0, at least 0 and below 1; what stays is multiplied by 1 / (1 − rate) */
  readonly rate: number
  /** i32 [2]: read by every run, so its contents may change between runs of one kernel; layers that share it drop the same pairs */
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

/** Throws `argument` for a rate outside [0, 1), `shape` and `dtype` for a seed that is not i32 [2]. */
export function checkDropout(where: string, dropout: Dropout): void {
  checkFields(where, 'dropout', dropout, fields)
  const { rate, seed } = dropout
  if (!(rate >= 0 && rate < 1))
    throw new FoveaError('argument', where, `dropout.rate must be at least 0 and below 1, got ${rate}`)
  if (!Array.isArray(seed?.shape) || typeof seed.at !== 'function')
    throw new FoveaError('argument', where, `dropout.seed must be a tensor i32 [2], got ${typeof seed}`)
  if (seed.dtype !== 'i32') throw new FoveaError('dtype', where, `dropout.seed must be i32, got ${seed.dtype}`)
  if (seed.shape.length !== 1 || seed.shape[0] !== 2)
    throw new FoveaError('shape', where, `dropout.seed must be [2], got [${seed.shape.join(', ')}]`)
}

const fields: FieldsOf<Dropout> = { rate: true, seed: true }

/** What tells programs with different dropout apart. */
export function dropoutKey(dropout: Dropout | null, numberOf: (object: object) => number): string {
  return dropout ? `dropout ${dropout.rate} ${numberOf(dropout.seed)}` : ''
}

/** The bits of an i32 as a u32: a cast would make negative numbers 0. */
function bits(word: Value): Value {
  const half = (shift: number) => word.shr(shift).and(0xffff).cast('u32')
  return half(16).shl(16).or(half(0))
}
