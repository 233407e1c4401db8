import type { ReferenceInput } from '../../src/attention/softmax/flash.reference.ts'
import { roundTo } from '../../src/ir/narrow-float.ts'

/**
 * What a straightforward implementation in this dtype gives: scores, weights and output are matrices of the dtype, sums are
 * kept in f32. Its error is the measure that a fused kernel is held to.
 */
export function naiveAttention(
  input: ReferenceInput,
  dtype: 'f32' | 'f16' | 'bf16',
): { output: Float64Array; lse: Float64Array } {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim, normalizer = 'softmax' } = input
  const f = Math.fround
  const narrow = (x: number) => roundTo(dtype, x)
  const scale = f(input.scale ?? 1 / Math.sqrt(headDim))
  const output = new Float64Array(batch * queries * numHeads * valueDim)
  const lse = new Float64Array(batch * numHeads * queries)
  const boundsQ = input.cuSeqlensQ ?? input.cuSeqlensK
  const boundsK = input.cuSeqlensK ?? input.cuSeqlensQ
  for (let b = 0; b < batch; b++)
    for (let head = 0; head < numHeads; head++)
      for (let t = 0; t < queries; t++) {
        const sequence = boundsQ ? Array.from(boundsQ).findIndex((bound) => bound > t) - 1 : b
        const [qFrom, qTo] = boundsQ ? [boundsQ[sequence] as number, boundsQ[sequence + 1] as number] : [0, queries]
        const [kFrom, kTo] = boundsK ? [boundsK[sequence] as number, boundsK[sequence + 1] as number] : [0, keys]
        const kvHead = Math.floor((head * numKvHeads) / numHeads)
        const row = kTo - kFrom
        const scores = new Float64Array(row).fill(Number.NEGATIVE_INFINITY)
        for (let k = 0; k < row; k++) {
          const position = { q: t - qFrom, k, head, batch: sequence, qLength: qTo - qFrom, kLength: row }
          if (input.allowed && !input.allowed(position)) continue
          let sum = 0
          const [at, kAt] = [
            ((b * queries + t) * numHeads + head) * headDim,
            ((b * keys + kFrom + k) * numKvHeads + kvHead) * headDim,
          ]
          for (let d = 0; d < headDim; d++)
            sum = f(sum + f((input.query[at + d] as number) * (input.key[kAt + d] as number)))
          const score = narrow(f(narrow(sum) * scale))
          scores[k] = input.modify ? narrow(input.modify(score, position)) : score
        }
        const { weights, logSum } = naiveWeights(normalizer, scores, input.sinks?.[head], narrow)
        lse[(b * numHeads + head) * queries + t] = logSum
        for (let d = 0; d < valueDim; d++) {
          let sum = 0
          for (let k = 0; k < row; k++) {
            const value = input.value[((b * keys + kFrom + k) * numKvHeads + kvHead) * valueDim + d] as number
            sum = f(sum + f((weights[k] as number) * value))
          }
          output[((b * queries + t) * numHeads + head) * valueDim + d] = narrow(sum)
        }
      }
  return { output, lse }
}

function naiveWeights(
  normalizer: 'softmax' | 'softpick' | 'sigmoid',
  scores: Float64Array,
  sink: number | undefined,
  narrow: (x: number) => number,
): { weights: Float64Array; logSum: number } {
  const f = Math.fround
  const exp = (x: number) => f(Math.exp(f(x)))
  if (normalizer === 'sigmoid') return { weights: scores.map((s) => narrow(f(1 / f(1 + exp(-s))))), logSum: Number.NaN }
  let top = sink === undefined ? Number.NEGATIVE_INFINITY : f(sink)
  for (const s of scores) top = Math.max(top, s)
  if (top === Number.NEGATIVE_INFINITY) return { weights: scores.map(() => 0), logSum: top }
  if (normalizer === 'softpick') {
    const lifted = scores.map((s) => (s === Number.NEGATIVE_INFINITY ? 0 : narrow(f(exp(s - top) - exp(-top)))))
    let total = f(1e-6)
    for (const x of lifted) total = f(total + Math.abs(x))
    return { weights: lifted.map((x) => narrow(f(Math.max(x, 0) / total))), logSum: Number.NaN }
  }
  const raised = scores.map((s) => narrow(exp(s - top)))
  let total = sink === undefined ? 0 : narrow(exp(sink - top))
  for (const x of raised) total = f(total + x)
  return { weights: raised.map((x) => narrow(f(x / total))), logSum: f(top + f(Math.log(total))) }
}
