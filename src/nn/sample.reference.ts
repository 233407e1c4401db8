import type { SamplingSettings } from './sampling/sampling-settings.ts'

/** A row of `sample`: what it is chosen from. */
export interface SampleRow {
  readonly logits: Float64Array // [V]
  readonly settings: SamplingSettings
  readonly softCap: number | null
  /** occurrences of each token, as the `seen` tensor has them; null for none */
  readonly seen: readonly number[] | null
}

/** The tokens that may be drawn, the likeliest first, with their probabilities. */
export interface Distribution {
  readonly tokens: readonly number[]
  readonly probabilities: readonly number[]
  readonly scores: readonly number[] // of all tokens, [V]
}

/**
 * Scores of a row, and what the filters leave of it, by sorting, in float64; null for a row without a distribution. At
 * temperature 0 one token is left. `round` is applied to each step of a score (Math.fround makes equal scores what they
 * are in f32).
 */
export function sampleReference(row: SampleRow, round: (x: number) => number = (x) => x): Distribution | null {
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = row.settings
  if (row.logits.some((x) => Number.isNaN(x) || x === Number.POSITIVE_INFINITY)) return null
  const scores = penalisedScores(row, round)
  const order = [...scores.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b)
  const score = (token: number) => scores[token] as number
  const highest = score(order[0] as number)
  if (highest === Number.NEGATIVE_INFINITY) return null
  if (temperature === 0) return { tokens: order.slice(0, 1), probabilities: [1], scores }

  const weight = (token: number) => Math.exp((score(token) - highest) / temperature)
  const total = (tokens: readonly number[]) => tokens.reduce((sum, token) => sum + weight(token), 0)
  // equal scores have the same scores above them, so they stay or go together
  let kept = order.filter((token) => score(token) > Number.NEGATIVE_INFINITY)
  if (topK > 0) {
    const last = score(kept[Math.min(topK, kept.length) - 1] as number)
    kept = kept.filter((token) => score(token) >= last)
  }
  if (topP < 1) {
    const target = topP * total(kept)
    let [higher, mass] = [0, 0]
    kept = kept.filter((token, i) => {
      if (i > 0 && score(token) < score(kept[i - 1] as number)) higher = mass
      mass += weight(token)
      return higher < target || score(token) === highest
    })
  }
  kept = kept.filter((token) => weight(token) >= minP)
  const mass = total(kept)
  return { tokens: kept, probabilities: kept.map((token) => weight(token) / mass), scores }
}

/** The token of the race among those kept (see `sample`), the hash in integers and the times in float64. */
export function raceReference({ tokens, probabilities }: Distribution, seed: number, counter: number): number {
  const first = mix(mix((counter + 0x9e3779b9) | 0) ^ seed)
  const second = mix(first ^ ((mix((seed + 0x85ebca6b) | 0) + counter) | 0))
  let [best, winner] = [-1, -1]
  for (const [i, token] of tokens.entries()) {
    const hash = mix((Math.imul(token, 0x9e3779b9) + first) | 0, second) >>> 0
    const time = -Math.log1p(-(hash + 0.5) / 2 ** 32)
    const speed = (probabilities[i] as number) / time
    if (speed > best) [best, winner] = [speed, token]
  }
  return winner
}

/** Log-probability of a token in softmax(softCap(logits)). */
export function logprobReference({ logits, softCap }: SampleRow, token: number): number {
  const x = logits.map((v) => capped(v, softCap))
  const top = Math.max(...x)
  const lse = top + Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0))
  return (x[token] as number) - lse
}

function penalisedScores({ logits, settings, softCap, seen }: SampleRow, round: (x: number) => number): number[] {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = settings
  const [repetition, presence, frequency] = [repetitionPenalty, presencePenalty, frequencyPenalty].map(round) as [
    number,
    number,
    number,
  ]
  return Array.from(logits, (logit, token) => {
    let x = round(capped(logit, softCap))
    const count = seen?.[token] ?? 0
    const generated = count >> 1
    if (count > 0) x = round(x > 0 ? x / repetition : x * repetition)
    if (generated > 0) x = round(round(x - presence) - round(generated * frequency))
    return x
  })
}

function capped(x: number, softCap: number | null): number {
  return softCap === null ? x : softCap * Math.tanh(x / softCap)
}

function mix(word: number, key = 0): number {
  let x = word
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) ^ key
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return x ^ (x >>> 16)
}
