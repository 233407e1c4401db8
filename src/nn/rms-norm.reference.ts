/** y [N, D] = x / √(mean(x²) + eps) · (offset + weight), row by row in float64; `round` is applied to every result. */
export function rmsNormReference(input: {
  readonly N: number
  readonly D: number
  readonly x: Float64Array // [N, D]
  readonly weight: Float64Array | null // [D]
  readonly eps: number
  readonly offset: number
  readonly round?: (x: number) => number
}): Float64Array {
  const { N, D, x, weight, eps, offset, round = (v) => v } = input
  const y = new Float64Array(N * D)
  for (let n = 0; n < N; n++) {
    let squares = 0
    for (let d = 0; d < D; d++) squares = round(squares + round((x[n * D + d] as number) ** 2))
    const inverse = round(1 / round(Math.sqrt(round(round(squares / D) + eps))))
    for (let d = 0; d < D; d++) {
      const factor = weight ? round(offset + (weight[d] as number)) : 1
      y[n * D + d] = round(round((x[n * D + d] as number) * inverse) * factor)
    }
  }
  return y
}
