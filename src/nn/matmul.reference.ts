/** A matrix product's numbers in row-major order; the sizes say what is what. */
export interface MatmulReferenceInput {
  readonly batch: number
  readonly M: number
  readonly N: number
  readonly K: number
  readonly a: Float64Array // [batch, M, K], or [batch, K, M] with transposeA
  readonly b: Float64Array // [batch, K, N], or [batch, N, K] with transposeB
  readonly bias: Float64Array | null // [N]
  readonly transposeA: boolean
  readonly transposeB: boolean
  readonly alpha: number
  readonly activation: ((x: number) => number) | null
  /** applied to every partial sum and result: the identity is exact, Math.fround the naive f32 */
  readonly round?: (x: number) => number
}

/** output [batch, M, N] = activation(alpha · op(a) · op(b) + bias), one dot product at a time in float64. */
export function matmulReference(input: MatmulReferenceInput): Float64Array {
  const { batch, M, N, K, a, b, bias, transposeA, transposeB, alpha, activation, round = (x) => x } = input
  const output = new Float64Array(batch * M * N)
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < M; i++)
      for (let j = 0; j < N; j++) {
        let sum = 0
        for (let k = 0; k < K; k++) {
          const left = a[n * M * K + (transposeA ? k * M + i : i * K + k)] as number
          const right = b[n * K * N + (transposeB ? j * K + k : k * N + j)] as number
          sum = round(sum + round(left * right))
        }
        const x = round(round(alpha * sum) + (bias ? (bias[j] as number) : 0))
        output[(n * M + i) * N + j] = activation ? round(activation(x)) : x
      }
  return output
}
