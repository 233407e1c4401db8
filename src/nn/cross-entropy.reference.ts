export interface CrossEntropyReferenceInput {
  readonly N: number
  readonly V: number
  readonly C: number
  readonly hidden: Float64Array // [N, C]
  readonly weight: Float64Array // [V, C]
  readonly bias: Float64Array | null // [V]
  readonly targets: readonly number[] // [N]
  readonly softCap: number | null
  readonly factor: number
  /** applied to every sum and result */
  readonly round?: (x: number) => number
}

/** Losses and gradients of `crossEntropy`, token by token in float64, logits all at once. */
export function crossEntropyReference(input: CrossEntropyReferenceInput) {
  const { N, V, C, hidden, weight, bias, targets, softCap, factor, round = (x) => x } = input
  const [losses, lse, correct] = [new Float64Array(N), new Float64Array(N), new Int32Array(N)]
  const [dHidden, dWeight, dBias] = [new Float64Array(N * C), new Float64Array(V * C), new Float64Array(V)]
  const add = (to: Float64Array, at: number, x: number) => {
    to[at] = round((to[at] as number) + x)
  }
  for (let n = 0; n < N; n++) {
    const x = new Float64Array(V)
    const slope = new Float64Array(V).fill(1)
    for (let v = 0; v < V; v++) {
      let logit = 0
      for (let c = 0; c < C; c++) logit = round(logit + (hidden[n * C + c] as number) * (weight[v * C + c] as number))
      if (bias) logit = round(logit + (bias[v] as number))
      const t = softCap === null ? 0 : Math.tanh(logit / softCap)
      x[v] = softCap === null ? logit : round(softCap * t)
      if (softCap !== null) slope[v] = round(1 - t * t)
    }
    const largest = x.reduce((a, b) => Math.max(a, b))
    let sum = 0
    for (const value of x) sum = round(sum + round(Math.exp(value - largest)))
    lse[n] = round(largest + Math.log(sum))
    const target = targets[n] as number
    if (target < 0 || target >= V) continue
    losses[n] = round((lse[n] as number) - (x[target] as number))
    correct[n] = x[target] === largest && x.indexOf(largest) === x.lastIndexOf(largest) ? 1 : 0
    for (let v = 0; v < V; v++) {
      const p = round(Math.exp((x[v] as number) - (lse[n] as number)))
      const d = round(factor * (p - (v === target ? 1 : 0)) * (slope[v] as number))
      add(dBias, v, d)
      for (let c = 0; c < C; c++) {
        add(dHidden, n * C + c, d * (weight[v * C + c] as number))
        add(dWeight, v * C + c, d * (hidden[n * C + c] as number))
      }
    }
  }
  return { losses, lse, correct, dHidden, dWeight, dBias }
}
