import { randomNumbers } from './random-numbers.ts'

/**
 * A shuffle of 0 … count − 1 as a function, without a table: where index goes. A Feistel network of four rounds over the
 * smallest even number of bits that holds count; what falls outside is sent through again until it falls inside (Black and
 * Rogaway, 2002). `count` up to 2^40.
 */
export function shuffledIndex(count: number, ...keys: readonly number[]): (index: number) => number {
  const random = randomNumbers(...keys)
  const half = Math.max(1, Math.ceil(Math.log2(Math.max(2, count)) / 2))
  const size = 2 ** half
  const rounds = Array.from({ length: 4 }, () => [random.below(2 ** 32), random.below(2 ** 32) | 1] as const)
  const once = (index: number): number => {
    let [left, right] = [Math.floor(index / size), index % size]
    for (const [add, multiply] of rounds) {
      let x = Math.imul(right + add, multiply)
      x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d)
      x ^= x >>> 12
      ;[left, right] = [right, (left ^ x) & (size - 1)]
    }
    return left * size + right
  }
  return (index) => {
    let at = once(index)
    while (at >= count) at = once(at)
    return at
  }
}
