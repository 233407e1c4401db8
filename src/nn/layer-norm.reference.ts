/** y [N, D] = (x − mean) / √(variance + eps) · (offset + weight) + bias, row by row in float64; `round` is applied to every result. */
export function layerNormReference(input: {
  readonly N: number
  readonly D: number
  readonly x: Float64Array // [N, D]
  readonly weight: Float64Array | null // [D]
  readonly bias: Float64Array | null // [D]
  readonly eps: number
  readonly offset: number
  readonly round?: (x: number) => number
}): Float64Array {
  const { N, D, x, weight, bias, eps, offset, round = (v) => v } = input
  const y = new Float64Array(N * D)
  for (let n = 0; n < N; n++) {
    let sum = 0
    for (let d = 0; d < D; d++) sum = round(sum + (x[n * D + d] as number))
    const mean = round(sum / D)
    let squares = 0
    for (let d = 0; d < D; d++) {
      const difference = round((x[n * D + d] as number) - mean)
      squares = round(squares + round(difference * difference))
    }
    const inverse = round(1 / round(Math.sqrt(round(round(squares / D) + eps))))
    for (let d = 0; d < D; d++) {
      const unit = round(round((x[n * D + d] as number) - mean) * inverse)
      const scaled = weight ? round(unit * round(offset + (weight[d] as number))) : unit
      y[n * D + d] = bias ? round(scaled + (bias[d] as number)) : scaled
    }
  }
  return y
}
