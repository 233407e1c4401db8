export interface NormBackwardReferenceInput {
  readonly N: number
  readonly D: number
  readonly x: Float64Array // [N, D]
  readonly dOutput: Float64Array // [N, D]
  readonly weight: Float64Array | null // [D]
  readonly eps: number
  readonly offset: number
  /** layer norm: rows are centred first */
  readonly centred: boolean
  /** applied to every sum and result */
  readonly round?: (x: number) => number
}

/**
 * Gradients of a normalisation row by row in float64, from the Jacobian of n = r · c: ∂n[i]/∂c[j] = r · ([i = j] − n[i] · n[j] / D),
 * and of centring, ∂c[i]/∂x[j] = [i = j] − 1 / D.
 */
export function normBackwardReference(input: NormBackwardReferenceInput) {
  const { N, D, x, dOutput, weight, eps, offset, centred, round = (v) => v } = input
  const [dX, dWeight, dBias] = [new Float64Array(N * D), new Float64Array(D), new Float64Array(D)]
  const sum = (values: Float64Array) => values.reduce((total, v) => round(total + v), 0)
  for (let n = 0; n < N; n++) {
    const row = x.subarray(n * D, (n + 1) * D)
    const dY = dOutput.subarray(n * D, (n + 1) * D)
    const mean = centred ? round(sum(row) / D) : 0
    const c = row.map((v) => round(v - mean))
    const r = round(1 / Math.sqrt(round(sum(c.map((v) => round(v * v))) / D) + eps))
    const normalized = c.map((v) => round(v * r))
    const g = dY.map((v, d) => round(v * (weight ? offset + (weight[d] as number) : 1)))
    const along = sum(g.map((v, d) => round(v * (normalized[d] as number))))
    const dC = g.map((v, d) => round(r * round(v - round(((normalized[d] as number) * along) / D))))
    const shift = centred ? round(sum(dC) / D) : 0
    for (let d = 0; d < D; d++) {
      dX[n * D + d] = round((dC[d] as number) - shift)
      dWeight[d] = round((dWeight[d] as number) + round((dY[d] as number) * (normalized[d] as number)))
      dBias[d] = round((dBias[d] as number) + (dY[d] as number))
    }
  }
  return { dX, dWeight, dBias }
}
