import type { PagedStep, PagedTrial } from './paged-trial.ts'

/** Causal attention of each sequence in float64, one query at a time. */
export function pagedReference(trial: PagedTrial, step: PagedStep): Float64Array {
  const { sequences, H, G, D, Dv = D, window = null, sinks = 0, chunk = null, softCap = null } = trial
  const output = new Float64Array((step.queries.length / D) * Dv)
  let n = 0
  sequences.forEach(({ qLength, kLength }, s) => {
    const [key, value] = [step.keys[s] as Float64Array, step.values[s] as Float64Array]
    for (let i = 0; i < qLength; i++, n++)
      for (let h = 0; h < H; h++) {
        const at = kLength - qLength + i
        const g = Math.floor(h / (H / G))
        const seen = Array.from({ length: at + 1 }, (_, k) => k).filter(
          (k) =>
            (window === null || k > at - window || k < sinks) &&
            (chunk === null || Math.floor(k / chunk) === Math.floor(at / chunk)),
        )
        const scores = seen.map((k) => {
          let score = 0
          for (let d = 0; d < D; d++)
            score += (step.queries[(n * H + h) * D + d] as number) * (key[(k * G + g) * D + d] as number)
          score /= Math.sqrt(D)
          score += (trial.alibiSlopes?.[h] ?? 0) * (k - at)
          return softCap === null ? score : softCap * Math.tanh(score / softCap)
        })
        const sink = trial.sinkLogits?.[h] ?? Number.NEGATIVE_INFINITY
        const top = Math.max(sink, ...scores)
        const weights = scores.map((score) => Math.exp(score - top))
        const sum = weights.reduce((x, y) => x + y, Math.exp(sink - top))
        for (let d = 0; d < Dv; d++)
          output[(n * H + h) * Dv + d] =
            seen.reduce((x, k, j) => x + (weights[j] as number) * (value[(k * G + g) * Dv + d] as number), 0) / sum
      }
  })
  return output
}
