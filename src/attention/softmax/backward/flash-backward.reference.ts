import type { PlainPosition, ReferenceInput } from '../flash.reference.ts'

/** Gradients in the layouts of what they belong to. */
export interface ReferenceGradients {
  readonly dQuery: Float64Array
  readonly dKey: Float64Array
  readonly dValue: Float64Array
  readonly dSinks: Float64Array
}

/**
 * Gradients of Σ dOutput · output + Σ dLse · lse as the derivatives of the definition say, one query at a time in float64;
 * that of `modify` by central differences. `dOutput` is [B, T, H, Dv], `dLse` [B, H, T] (softmax only). `kept` gives the
 * factor of each weight under dropout.
 */
export function flashBackwardReference(
  input: ReferenceInput,
  dOutput: ArrayLike<number>,
  dLse: ArrayLike<number> | null = null,
  kept: (position: PlainPosition) => number = () => 1,
): ReferenceGradients {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim, normalizer = 'softmax' } = input
  const scale = input.scale ?? 1 / Math.sqrt(headDim)
  const boundsQ = input.cuSeqlensQ ?? input.cuSeqlensK
  const boundsK = input.cuSeqlensK ?? input.cuSeqlensQ
  const dQuery = new Float64Array(batch * queries * numHeads * headDim)
  const dKey = new Float64Array(batch * keys * numKvHeads * headDim)
  const dValue = new Float64Array(batch * keys * numKvHeads * valueDim)
  const dSinks = new Float64Array(numHeads)
  const at = (data: ArrayLike<number>, index: number) => data[index] as number
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < queries; t++) {
      let sequence = b
      let [qFrom, qTo, kFrom, kTo] = [0, queries, 0, keys]
      if (boundsQ && boundsK) {
        sequence = 0
        while (at(boundsQ, sequence + 1) <= t) sequence++
        ;[qFrom, qTo] = [at(boundsQ, sequence), at(boundsQ, sequence + 1)]
        ;[kFrom, kTo] = [at(boundsK, sequence), at(boundsK, sequence + 1)]
      }
      for (let head = 0; head < numHeads; head++) {
        const kvHead = Math.floor(head / (numHeads / numKvHeads))
        const qAt = ((b * queries + t) * numHeads + head) * headDim
        const oAt = ((b * queries + t) * numHeads + head) * valueDim
        const met: { kAt: number; vAt: number; score: number; slope: number; factor: number; dP: number }[] = []
        for (let k = 0; k < kTo - kFrom; k++) {
          const position = { q: t - qFrom, k, head, batch: sequence, qLength: qTo - qFrom, kLength: kTo - kFrom }
          if (input.allowed && !input.allowed(position)) continue
          const row = (b * keys + kFrom + k) * numKvHeads + kvHead
          const [kAt, vAt] = [row * headDim, row * valueDim]
          let raw = 0
          for (let d = 0; d < headDim; d++) raw += at(input.query, qAt + d) * at(input.key, kAt + d)
          raw *= scale
          const modify = (score: number) => (input.modify ? input.modify(score, position) : score)
          const step = 1e-4 * Math.max(1, Math.abs(raw))
          const slope = input.modify ? (modify(raw + step) - modify(raw - step)) / (2 * step) : 1
          const factor = kept(position)
          let dP = 0
          for (let d = 0; d < valueDim; d++) dP += at(dOutput, oAt + d) * at(input.value, vAt + d)
          met.push({ kAt, vAt, score: modify(raw), slope, factor, dP: dP * factor })
        }
        const sink = input.sinks?.[head]
        const ofLse = dLse ? at(dLse, (b * numHeads + head) * queries + t) : 0
        const { weights, dScores, dSink } = slopes(
          normalizer,
          met.map(({ score }) => score),
          met.map(({ dP }) => dP),
          sink,
          ofLse,
        )
        if (sink !== undefined) (dSinks[head] as number) += dSink
        met.forEach(({ kAt, vAt, slope, factor }, i) => {
          const [weight, dRaw] = [at(weights, i) * factor, at(dScores, i) * slope * scale]
          for (let d = 0; d < valueDim; d++) (dValue[vAt + d] as number) += weight * at(dOutput, oAt + d)
          for (let d = 0; d < headDim; d++) {
            ;(dQuery[qAt + d] as number) += dRaw * at(input.key, kAt + d)
            ;(dKey[kAt + d] as number) += dRaw * at(input.query, qAt + d)
          }
        })
      }
    }
  return { dQuery, dKey, dValue, dSinks }
}

/** Weights of one row, and the gradients of its scores and its sink. */
function slopes(
  normalizer: 'softmax' | 'softpick' | 'sigmoid',
  scores: readonly number[],
  dP: readonly number[],
  sink: number | undefined,
  dLse: number,
): { weights: number[]; dScores: number[]; dSink: number } {
  const none = { weights: [], dScores: [], dSink: 0 }
  if (normalizer === 'sigmoid') {
    const weights = scores.map((s) => 1 / (1 + Math.exp(-s)))
    return { weights, dScores: weights.map((p, i) => p * (1 - p) * (dP[i] as number)), dSink: 0 }
  }
  const logits = sink === undefined ? scores : [...scores, sink]
  if (logits.length === 0) return none
  const top = Math.max(...logits)
  const exps = logits.map((s) => Math.exp(s - top))
  if (normalizer === 'softmax') {
    const total = exps.reduce((a, b) => a + b)
    const all = exps.map((x) => x / total)
    const delta = dP.reduce((sum, d, i) => sum + d * (all[i] as number), 0) - dLse
    const dAll = all.map((p, i) => p * ((dP[i] ?? 0) - delta))
    return { weights: all.slice(0, scores.length), dScores: dAll, dSink: dAll[scores.length] ?? 0 }
  }
  const lifted = exps.map((x) => x - Math.exp(-top))
  const total = lifted.reduce((sum, x) => sum + Math.abs(x), 1e-6)
  const weights = scores.map((_, i) => Math.max(lifted[i] as number, 0) / total)
  const delta = weights.reduce((sum, p, i) => sum + p * (dP[i] as number), 0)
  const dAll = lifted.map((x, i) => ((exps[i] as number) / total) * ((x > 0 ? (dP[i] ?? 0) : 0) - Math.sign(x) * delta))
  return { weights, dScores: dAll, dSink: dAll[scores.length] ?? 0 }
}
