/** A linear layer's numbers in row-major order, the weights dequantised. */
export interface LinearReferenceInput {
  readonly N: number
  readonly M: number
  readonly K: number
  readonly x: Float64Array // [N, K]
  readonly weight: Float64Array // [M, K]; gated: [2 M, K], the gate first
  readonly bias: Float64Array | null // [M]; gated: [2 M]
  readonly activation: ((x: number) => number) | null
  readonly gated: boolean
  /** what the output held, to be added to; null: nothing */
  readonly before: Float64Array | null // [N, M]
  /** applied to every partial sum and result: the identity is exact, Math.fround the naive f32 */
  readonly round?: (x: number) => number
}

/** output [N, M] = before + activation(x · weightᵀ + bias), gated: before + activation(gate) · up, in float64. */
export function linearReference(input: LinearReferenceInput): Float64Array {
  const { N, M, K, x, weight, bias, activation, gated, before, round = (v) => v } = input
  const product = (n: number, m: number) => {
    let sum = 0
    for (let k = 0; k < K; k++) sum = round(sum + round((x[n * K + k] as number) * (weight[m * K + k] as number)))
    return bias ? round(sum + (bias[m] as number)) : sum
  }
  const output = new Float64Array(N * M)
  for (let n = 0; n < N; n++)
    for (let m = 0; m < M; m++) {
      const first = product(n, m)
      let y = activation ? round(activation(first)) : first
      if (gated) y = round(y * product(n, M + m))
      output[n * M + m] = before ? round(y + (before[n * M + m] as number)) : y
    }
  return output
}
