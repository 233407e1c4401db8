/** Numbers in row-major order: query, key [B, T, H, D], value [B, T, H, Dv], logDecay [B, T, H, D] or, one per head, [B, T, H]. */
export interface GatedLinearReferenceInput {
  readonly B: number
  readonly T: number
  readonly H: number
  readonly D: number
  readonly Dv: number
  readonly query: Float64Array
  readonly key: Float64Array
  readonly value: Float64Array
  readonly logDecay: Float64Array
  readonly initialState: Float64Array | null // [N, H, D, Dv]
  readonly scale: number
  /** N + 1 bounds of packed sequences (B is then 1), or null: each row of the batch is one sequence */
  readonly cuSeqlens: ArrayLike<number> | null
  /** applied to every result: the identity by default, rounding to a dtype for the naive implementation in it */
  readonly round?: (x: number) => number
}

/**
 * S_t = diag(exp(g_t)) S_(t−1) + k_tᵀ v_t, o_t = scale · q_t S_t, one token at a time (Yang et al. 2023, arXiv 2312.06635,
 * equation 3; the paper writes the decay itself, α = exp(g), and no scale).
 */
export function gatedLinearAttentionReference(input: GatedLinearReferenceInput): {
  output: Float64Array
  finalState: Float64Array
} {
  const { B, T, H, D, Dv, query, key, value, logDecay, initialState, scale, cuSeqlens, round = (x) => x } = input
  const perChannel = logDecay.length === B * T * H * D
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
  const output = new Float64Array(B * T * H * Dv)
  const finalState = new Float64Array(sequences * H * D * Dv)
  if (initialState) finalState.set(initialState)
  for (let n = 0; n < sequences; n++) {
    const from = cuSeqlens ? (cuSeqlens[n] as number) : n * T
    const to = cuSeqlens ? (cuSeqlens[n + 1] as number) : (n + 1) * T
    for (let h = 0; h < H; h++) {
      const S = finalState.subarray((n * H + h) * D * Dv, (n * H + h + 1) * D * Dv)
      for (let t = from; t < to; t++) {
        const token = t * H + h
        for (let d = 0; d < D; d++) {
          const decay = round(Math.exp(logDecay[perChannel ? token * D + d : token] as number))
          const k = key[token * D + d] as number
          const q = round((query[token * D + d] as number) * scale)
          for (let v = 0; v < Dv; v++) {
            const at = d * Dv + v
            S[at] = round(round((S[at] as number) * decay) + round(k * (value[token * Dv + v] as number)))
            output[token * Dv + v] = round((output[token * Dv + v] as number) + round(q * (S[at] as number)))
          }
        }
      }
    }
  }
  return { output, finalState }
}
