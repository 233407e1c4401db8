/** A position as plain numbers. */
export interface PlainPosition {
  readonly q: number
  readonly k: number
  readonly head: number
  readonly batch: number
  readonly qLength: number
  readonly kLength: number
}

/** Inputs in row-major order, [B, T, H, D], [B, S, Hkv, D], [B, S, Hkv, Dv]; packed sequences by their bounds. */
export interface ReferenceInput {
  readonly query: ArrayLike<number>
  readonly key: ArrayLike<number>
  readonly value: ArrayLike<number>
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly valueDim: number
  readonly scale?: number | undefined
  readonly allowed?: ((position: PlainPosition) => boolean) | undefined
  readonly modify?: ((score: number, position: PlainPosition) => number) | undefined
  readonly normalizer?: 'softmax' | 'softpick' | 'sigmoid' | undefined
  readonly sinks?: ArrayLike<number> | undefined
  readonly cuSeqlensQ?: ArrayLike<number> | undefined
  readonly cuSeqlensK?: ArrayLike<number> | undefined
}

/**
 * Attention as its definition says, one query at a time in float64: output [B, T, H, Dv], lse [B, H, T] (NaN for normalisers
 * other than softmax, which define none here).
 */
export function flashReference(input: ReferenceInput): { output: Float64Array; lse: Float64Array } {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim, normalizer = 'softmax' } = input
  const scale = input.scale ?? 1 / Math.sqrt(headDim)
  const output = new Float64Array(batch * queries * numHeads * valueDim)
  const lse = new Float64Array(batch * numHeads * queries)
  const boundsQ = input.cuSeqlensQ ?? input.cuSeqlensK
  const boundsK = input.cuSeqlensK ?? input.cuSeqlensQ
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < queries; t++) {
      // the sequence of this token
      let sequence = b
      let [qFrom, qTo, kFrom, kTo] = [0, queries, 0, keys]
      if (boundsQ && boundsK) {
        sequence = 0
        while ((boundsQ[sequence + 1] as number) <= t) sequence++
        qFrom = boundsQ[sequence] as number
        qTo = boundsQ[sequence + 1] as number
        kFrom = boundsK[sequence] as number
        kTo = boundsK[sequence + 1] as number
      }
      for (let head = 0; head < numHeads; head++) {
        const kvHead = Math.floor(head / (numHeads / numKvHeads))
        const attended: { at: number; score: number }[] = []
        for (let k = 0; k < kTo - kFrom; k++) {
          const position = { q: t - qFrom, k, head, batch: sequence, qLength: qTo - qFrom, kLength: kTo - kFrom }
          if (input.allowed && !input.allowed(position)) continue
          const at = (b * keys + kFrom + k) * numKvHeads + kvHead
          let score = 0
          for (let d = 0; d < headDim; d++)
            score +=
              (input.query[((b * queries + t) * numHeads + head) * headDim + d] as number) *
              (input.key[at * headDim + d] as number)
          score *= scale
          attended.push({ at, score: input.modify ? input.modify(score, position) : score })
        }
        const scores = attended.map(({ score }) => score)
        const { weights, logSum } = normalise(normalizer, scores, input.sinks?.[head])
        lse[(b * numHeads + head) * queries + t] = logSum
        for (let d = 0; d < valueDim; d++) {
          let sum = 0
          attended.forEach(({ at }, i) => {
            sum += (weights[i] as number) * (input.value[at * valueDim + d] as number)
          })
          output[((b * queries + t) * numHeads + head) * valueDim + d] = sum
        }
      }
    }
  return { output, lse }
}

/** Weights of one row. Nothing to attend to: no weights, −∞. */
function normalise(
  normalizer: 'softmax' | 'softpick' | 'sigmoid',
  scores: readonly number[],
  sink: number | undefined,
): { weights: number[]; logSum: number } {
  if (normalizer === 'sigmoid') return { weights: scores.map((s) => 1 / (1 + Math.exp(-s))), logSum: Number.NaN }
  const logits = sink === undefined ? scores : [...scores, sink]
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  if (normalizer === 'softpick') {
    const lifted = logits.map((s) => Math.exp(s - top) - Math.exp(-top))
    const total = lifted.reduce((sum, x) => sum + Math.abs(x), 1e-6)
    return { weights: scores.map((_, i) => Math.max(lifted[i] as number, 0) / total), logSum: Number.NaN }
  }
  if (logits.length === 0) return { weights: [], logSum: Number.NEGATIVE_INFINITY }
  const total = logits.reduce((sum, s) => sum + Math.exp(s - top), 0)
  return { weights: scores.map((s) => Math.exp(s - top) / total), logSum: top + Math.log(total) }
}
