/**
 * Random numbers as a function of (key, counter): Philox 4×32, ten rounds (Salmon, Moraes, Dror, Shaw 2011, "Parallel random
 * numbers: as easy as 1, 2, 3"). Whoever knows the key finds every number again, in any order, and nothing is kept between.
 */
export function philox(
  key: readonly [number, number],
  counter: readonly [number, number, number, number],
): Uint32Array {
  let [k0, k1] = key
  let [c0, c1, c2, c3] = counter
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = [multiplyHigh(0xd2511f53, c0), Math.imul(0xd2511f53, c0)]
    const [high1, low1] = [multiplyHigh(0xcd9e8d57, c2), Math.imul(0xcd9e8d57, c2)]
    c0 = high1 ^ c1 ^ k0
    c1 = low1
    c2 = high0 ^ c3 ^ k1
    c3 = low0
    k0 = (k0 + 0x9e3779b9) | 0
    k1 = (k1 + 0xbb67ae85) | 0
  }
  return Uint32Array.of(c0, c1, c2, c3)
}

/** `count` draws of the normal distribution with mean 0, by Box and Muller from pairs of uniform numbers in (0, 1]. */
export function normalDraws(seed: number, stream: number, count: number, deviation: number): Float32Array {
  const draws = new Float32Array(count)
  const uniform = (bits: number) => (bits + 1) / 2 ** 32
  for (let at = 0; at < count; at += 4) {
    const words = philox([seed, stream], [at / 4, 0, 0, 0])
    for (let pair = 0; pair < 4; pair += 2) {
      const radius = deviation * Math.sqrt(-2 * Math.log(uniform(words[pair] as number)))
      const angle = 2 * Math.PI * uniform(words[pair + 1] as number)
      draws[at + pair] = radius * Math.cos(angle)
      draws[at + pair + 1] = radius * Math.sin(angle)
    }
  }
  return draws
}

/** The upper 32 bits of the product of two unsigned numbers of 32 bits. */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow] = [a >>> 16, a & 0xffff]
  const [bHigh, bLow] = [b >>> 16, b & 0xffff]
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carry = aLow * bHigh + (middle & 0xffff)
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carry / 65536)) | 0
}
