import type { Captured, ScoreMod } from '../hooks.ts'

/** score + slopes[head] · (k − q) (Press, Smith and Lewis, "ALiBi", 2021, arXiv 2108.12409); `slopes` is f32 [H]. */
export function alibi(slopes: Captured): ScoreMod {
  return ({ score, q, k, head }) => score.add(slopes.at(head).mul(k.sub(q)))
}

/** The slopes of the paper, section 3: a geometric sequence from 2^(−8/n), interleaved when n is no power of two. */
export function alibiSlopes(numHeads: number): Float32Array {
  const power = 2 ** Math.floor(Math.log2(numHeads))
  const slopes = Array.from({ length: power }, (_, i) => 2 ** ((-8 * (i + 1)) / power))
  for (let i = 0; slopes.length < numHeads; i++) slopes.push(2 ** ((-4 * (2 * i + 1)) / power))
  return Float32Array.from(slopes)
}
