import type { GatedLinearReferenceInput } from './gated-linear-attention.reference.ts'

/** What arrives: dOutput [B, T, H, Dv], dFinalState [N, H, D, Dv]. */
export interface GatedLinearGradientInput extends GatedLinearReferenceInput {
  readonly dOutput: Float64Array
  readonly dFinalState: Float64Array | null
}

/**
 * Gradients of gated linear attention by its recurrence run backwards, one token at a time: G = scale · q_tᵀ dO_t + G,
 * dq_t = scale · dO_t S_tᵀ, dk_t = v_t Gᵀ, dv_t = k_t G, dg_t = exp(g_t) ⊙ rowsum(S_(t−1) ∘ G), then G = exp(g_t) ⊙ G.
 */
export function gatedLinearAttentionBackwardReference(
  input: GatedLinearGradientInput,
): Record<'dQuery' | 'dKey' | 'dValue' | 'dLogDecay' | 'dInitialState', Float64Array> {
  const { B, T, H, D, Dv, query, key, value, logDecay, initialState, scale, cuSeqlens, dOutput, dFinalState } = input
  const { round = (x) => x } = input
  const perChannel = logDecay.length === B * T * H * D
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
  const result = {
    dQuery: new Float64Array(query.length),
    dKey: new Float64Array(key.length),
    dValue: new Float64Array(value.length),
    dLogDecay: new Float64Array(logDecay.length),
    dInitialState: new Float64Array(sequences * H * D * Dv),
  }
  const decayAt = (token: number, d: number) => round(Math.exp(logDecay[perChannel ? token * D + d : token] as number))
  for (let n = 0; n < sequences; n++) {
    const from = cuSeqlens ? (cuSeqlens[n] as number) : n * T
    const to = cuSeqlens ? (cuSeqlens[n + 1] as number) : (n + 1) * T
    for (let h = 0; h < H; h++) {
      const place = (n * H + h) * D * Dv
      const states = [initialState ? initialState.slice(place, place + D * Dv) : new Float64Array(D * Dv)]
      for (let t = from; t < to; t++) {
        const token = t * H + h
        const before = states.at(-1) as Float64Array
        states.push(
          before.map((s, at) => {
            const [d, v] = [Math.floor(at / Dv), at % Dv]
            const added = round((key[token * D + d] as number) * (value[token * Dv + v] as number))
            return round(round(s * decayAt(token, d)) + added)
          }),
        )
      }
      const G = result.dInitialState.subarray(place, place + D * Dv)
      if (dFinalState) G.set(dFinalState.subarray(place, place + D * Dv))
      for (let t = to - 1; t >= from; t--) {
        const token = t * H + h
        const [S, before] = [states[t - from + 1] as Float64Array, states[t - from] as Float64Array]
        for (let d = 0; d < D; d++) {
          const [qd, kd] = [token * D + d, perChannel ? token * D + d : token]
          let through = 0
          for (let v = 0; v < Dv; v++) {
            const [at, vd] = [d * Dv + v, token * Dv + v]
            const dO = dOutput[vd] as number
            G[at] = round((G[at] as number) + round(round((query[qd] as number) * scale) * dO))
            result.dQuery[qd] = round((result.dQuery[qd] as number) + round(scale * round((S[at] as number) * dO)))
            result.dKey[qd] = round((result.dKey[qd] as number) + round((G[at] as number) * (value[vd] as number)))
            result.dValue[vd] = round((result.dValue[vd] as number) + round((G[at] as number) * (key[qd] as number)))
            through = round(through + round((before[at] as number) * (G[at] as number)))
            G[at] = round((G[at] as number) * decayAt(token, d))
          }
          result.dLogDecay[kd] = round((result.dLogDecay[kd] as number) + round(through * decayAt(token, d)))
        }
      }
    }
  }
  return result
}
