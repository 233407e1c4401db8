/** A mixture layer's numbers in row-major order, the weights dequantised. */
export interface MixtureReferenceInput {
  readonly tokens: number
  readonly perToken: number
  readonly hidden: number
  readonly inner: number
  readonly x: Float64Array // [N, C]
  readonly chosen: ArrayLike<number> // [N, K]
  readonly weights: ArrayLike<number> // [N, K]
  readonly weigh: 'output' | 'input'
  /** of each expert [2 I, C] gate first, or [I, C], and [C, I] */
  readonly up: readonly Float64Array[]
  readonly down: readonly Float64Array[]
  readonly upBias: Float64Array | null
  readonly downBias: Float64Array | null
  readonly gated: boolean
  readonly activation: (x: number) => number
  /** what the output held, to be added to */
  readonly before: Float64Array | null
  /** applied to every partial sum and result: the identity is exact, Math.fround the naive f32 */
  readonly round?: (x: number) => number
}

/** output [N, C] = before + Σ over the chosen experts, one token and one expert at a time. */
export function mixtureReference(input: MixtureReferenceInput): Float64Array {
  const { tokens, perToken, hidden, inner, chosen, weights, gated, round = (v) => v } = input
  const product = (x: Float64Array, w: Float64Array, row: number) => {
    let sum = 0
    for (let k = 0; k < x.length; k++) sum = round(sum + round((x[k] as number) * (w[row * x.length + k] as number)))
    return sum
  }
  const output = new Float64Array(tokens * hidden)
  for (let n = 0; n < tokens; n++) {
    const sums = new Float64Array(hidden)
    for (let slot = 0; slot < perToken; slot++) {
      const e = chosen[n * perToken + slot] as number
      const [up, down] = [input.up[e], input.down[e]]
      if (!up || !down) continue
      const weight = weights[n * perToken + slot] as number
      const given = input.x.slice(n * hidden, (n + 1) * hidden)
      const x = input.weigh === 'input' ? given.map((v) => round(v * weight)) : given
      const wide = gated ? 2 * inner : inner
      const bias = (row: number) => input.upBias?.[e * wide + row] ?? 0
      const h = new Float64Array(inner).map((_, i) => {
        const first = round(input.activation(round(product(x, up, i) + bias(i))))
        return gated ? round(first * round(product(x, up, inner + i) + bias(inner + i))) : first
      })
      for (let c = 0; c < hidden; c++) {
        const y = round(product(h, down, c) + (input.downBias?.[e * hidden + c] ?? 0))
        sums[c] = round((sums[c] as number) + (input.weigh === 'input' ? y : round(y * weight)))
      }
    }
    for (let c = 0; c < hidden; c++)
      output[n * hidden + c] = round((sums[c] as number) + (input.before?.[n * hidden + c] ?? 0))
  }
  return output
}
