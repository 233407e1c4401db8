/** Numbers in [0, 1) that look random. */
export interface RandomNumbers {
  (): number
  /** a whole number in [0, count) */
  below(count: number): number
}

/**
 * Numbers that are a function of the keys (whole numbers below 2^53) alone: sfc32 (Doty-Humphrey, PractRand), begun with a hash
 * of the keys. Not for cryptography.
 */
export function randomNumbers(...keys: readonly number[]): RandomNumbers {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return sum >>> 0
  }
  for (const key of keys) {
    a ^= mixed(key >>> 0)
    b ^= mixed((Math.floor(key / 2 ** 32) ^ 0x5bd1e995) >>> 0)
    for (let i = 0; i < 12; i++) next()
  }
  const random = () => next() / 2 ** 32
  return Object.assign(random, { below: (count: number) => Math.floor(random() * count) })
}

/** the finaliser of MurmurHash3: every bit of the input reaches every bit of the output */
function mixed(word: number): number {
  let x = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
