import type { RoutingSpec } from './routing-spec.ts'

/** Of one token: the experts chosen, the best first, and their weights, in float64. */
export function routeReference(
  logits: readonly number[],
  { perToken, scores, jitter = 0, groups = null, normalize = null, scale = 1 }: RoutingSpec,
  bias: readonly number[] | null,
  expertScale: readonly number[] | null,
  given: readonly number[] | null,
): { chosen: number[]; weights: number[] } {
  const exps = logits.map((l) => Math.exp(l - Math.max(...logits)))
  const total = exps.reduce((sum, e) => sum + e)
  const score = logits.map((l, e) => {
    if (scores === 'softmax') return (exps[e] as number) / total
    if (scores === 'sigmoid') return 1 / (1 + Math.exp(-l))
    if (scores === 'sqrtSoftplus') return Math.sqrt(Math.log1p(Math.exp(l)))
    return l
  })
  const rank = score.map((s, e) => s + (bias?.[e] ?? 0))
  let open = logits.map((_, e) => e)
  if (groups) {
    const size = logits.length / groups.count
    const value = Array.from({ length: groups.count }, (_, g) => {
      const inside = rank.slice(g * size, (g + 1) * size).sort((a, b) => b - a) as [number, number]
      return groups.by === 'max' ? inside[0] : inside[0] + inside[1]
    })
    const kept = value.map((v, g) => ({ v, g })).sort((a, b) => b.v - a.v || a.g - b.g)
    const names = kept.slice(0, groups.kept).map(({ g }) => g)
    open = open.filter((e) => names.includes(Math.floor(e / size)))
  }
  const order = [...open].sort((a, b) => (rank[b] as number) - (rank[a] as number) || a - b)
  const chosen = given ? [...given] : order.slice(0, perToken)
  let weights = chosen.map((e, slot) => {
    if (scores !== 'sparseMixer') return score[e] as number
    const left = logits.map((_, i) => i).filter((i) => !chosen.slice(0, slot).includes(i))
    const best = logits[e] as number
    const near = left.filter(
      (i) => !((best - (logits[i] as number)) / Math.max(Math.abs(logits[i] as number), best) > 2 * jitter),
    )
    return 1 / near.reduce((sum, i) => sum + Math.exp((logits[i] as number) - best), 0)
  })
  if (scores === 'softmaxOfChosen') weights = weights.map((l) => Math.exp(l))
  const sum = weights.reduce((a, b) => a + b, 0)
  const rule = scores === 'softmaxOfChosen' ? { plus: 0 } : normalize
  const divisor = !rule ? 1 : 'plus' in rule ? sum + rule.plus : Math.max(sum, rule.atLeast)
  return {
    chosen,
    weights: weights.map((w, slot) => (w / divisor) * scale * (expertScale?.[chosen[slot] as number] ?? 1)),
  }
}
