/**
 * x [N, H, D] turned by its positions, in float64, one element at a time; `round` is applied to every result. What is
 * rounded in a naive implementation is the angle's cos and sin, not the angle.
 */
export function ropeReference(input: {
  readonly N: number
  readonly H: number
  readonly D: number
  readonly x: Float64Array // [N, H, D]
  readonly positions: readonly number[] // [N]
  readonly inverseFrequencies: readonly number[]
  readonly attentionFactor: number
  readonly interleaved: boolean
  readonly round?: (x: number) => number
}): Float64Array {
  const { N, H, D, x, positions, inverseFrequencies, attentionFactor, interleaved, round = (v) => v } = input
  const half = inverseFrequencies.length
  const y = Float64Array.from(x)
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < half; i++) {
      const angle = (positions[n] as number) * (inverseFrequencies[i] as number)
      const [cos, sin] = [round(Math.cos(angle) * attentionFactor), round(Math.sin(angle) * attentionFactor)]
      for (let h = 0; h < H; h++) {
        const base = (n * H + h) * D
        const [a, b] = interleaved ? [base + 2 * i, base + 2 * i + 1] : [base + i, base + half + i]
        const [xa, xb] = [x[a] as number, x[b] as number]
        y[a] = round(round(xa * cos) - round(xb * sin))
        y[b] = round(round(xb * cos) + round(xa * sin))
      }
    }
  }
  return y
}
