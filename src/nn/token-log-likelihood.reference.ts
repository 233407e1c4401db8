/** Log-probabilities of the targets of logits [N, V], in float64; 0 for a target outside 0 … V − 1; `round` is applied to every result. */
export function tokenLogLikelihoodReference(input: {
  readonly N: number
  readonly V: number
  readonly logits: Float64Array // [N, V]
  readonly targets: readonly number[] // [N]
  readonly softCap: number | null
  readonly round?: (x: number) => number
}): Float64Array {
  const { N, V, logits, targets, softCap, round = (v) => v } = input
  const output = new Float64Array(N)
  for (let n = 0; n < N; n++) {
    const target = targets[n] as number
    if (target < 0 || target >= V) continue
    const row = logits.subarray(n * V, (n + 1) * V)
    const x = softCap === null ? row : row.map((v) => round(round(Math.tanh(round(v / softCap))) * softCap))
    let top = Number.NEGATIVE_INFINITY
    for (const v of x) top = Math.max(top, v)
    let sum = 0
    for (const v of x) sum = round(sum + round(Math.exp(round(v - top))))
    output[n] = round(round((x[target] as number) - top) - round(Math.log(sum)))
  }
  return output
}
