import type { SampleTiles } from './sampling/sample-program.ts'
import type { SamplingSettings } from './sampling/sampling-settings.ts'

export interface SampleCase {
  readonly name: string
  readonly S: number
  readonly V: number
  readonly settings: readonly SamplingSettings[] // row s takes settings[s mod n]
  readonly softCap: number | null
  /** rows have seen some of their tokens */
  readonly seen: boolean
  /** logits are drawn from −scale … scale and rounded to multiples of `step` (0: not rounded), so that scores are equal */
  readonly scale: number
  readonly step: number
  /** all but this many logits of a row are −∞; null for none */
  readonly possible: number | null
  /** the device's own when null */
  readonly tiles: SampleTiles | null
}

const all: readonly SamplingSettings[] = [
  { temperature: 0 },
  { temperature: 1 },
  { temperature: 0.6, topK: 7 },
  { topP: 0.8 },
  { topK: 30, topP: 0.9, minP: 0.02 },
  { temperature: 1.7, minP: 0.1 },
]
const penalised: readonly SamplingSettings[] = [
  { temperature: 0, repetitionPenalty: 1.3 },
  { repetitionPenalty: 1.2, topK: 12 },
  { presencePenalty: 1.5, frequencyPenalty: 0.4, topP: 0.9 },
  { repetitionPenalty: 0.7, presencePenalty: -1, frequencyPenalty: -0.3, temperature: 0.8 },
  { topK: 5 },
]
const plain: SampleCase = {
  name: '',
  S: 6,
  V: 300,
  settings: all,
  softCap: null,
  seen: false,
  scale: 5,
  step: 0,
  possible: null,
  tiles: null,
}
const vary = (name: string, change: Partial<SampleCase>): SampleCase => ({ ...plain, ...change, name })

const chunked: SampleTiles = { tileV: 64, drawV: 128, chunkV: 64, whole: false, probes: 3 }

/** Chosen to expose: vocabularies that are no tile or several, equal scores, scores of one sign or far apart, tokens that cannot be. */
export const sampleCases: readonly SampleCase[] = [
  vary('plain', {}),
  vary('one token', { V: 1 }),
  vary('several tiles', { V: 301, tiles: { tileV: 128, drawV: 304, chunkV: null, whole: true, probes: 1 } }),
  vary('in steps', { V: 301, tiles: { tileV: 64, drawV: 128, chunkV: null, whole: false, probes: 3 } }),
  vary('in chunks', { V: 301, tiles: chunked }),
  vary('in chunks, equal scores, penalties', { V: 330, step: 1, seen: true, settings: penalised, tiles: chunked }),
  vary('in chunks, few that can be', { V: 301, possible: 2, softCap: 4, tiles: chunked }),
  vary('equal scores', { step: 1, scale: 4 }),
  vary('all equal', { scale: 0 }),
  vary('penalties', { seen: true, settings: penalised, S: 10 }),
  vary('a soft cap', { softCap: 5, scale: 20 }),
  vary('huge scores', { scale: 1e6, settings: [{ topK: 9 }, { temperature: 1e6, topP: 0.5 }, { minP: 0.3 }] }),
  vary('tiny scores', { scale: 1e-6, settings: [{ topK: 9 }, { topP: 0.5 }, { temperature: 1e-6, topP: 0.5 }] }),
  vary('one that can be', { possible: 1 }),
  vary('few that can be', { possible: 5 }),
]

/** logits [S, V] and seen [S, V] (null for none); `random` gives −1 … 1. */
export function sampleInputs({ S, V, scale, step, possible, seen }: SampleCase, random: () => number) {
  const draw = () => (step > 0 ? Math.round((random() * scale) / step) * step : random() * scale)
  const logits = Float64Array.from({ length: S * V }, () => Math.fround(draw()))
  if (possible !== null)
    for (let s = 0; s < S; s++) {
      const kept = new Set<number>()
      while (kept.size < Math.min(possible, V)) kept.add(Math.floor(Math.abs(random()) * V) % V)
      for (let v = 0; v < V; v++) if (!kept.has(v)) logits[s * V + v] = Number.NEGATIVE_INFINITY
    }
  const count = () => (random() > 0.4 ? Math.floor(Math.abs(random()) * 8) : 0)
  return { logits, seen: seen ? Array.from({ length: S * V }, count) : null }
}

/** Bytes that a call must read, at `width` bytes a logit. */
export function sampleBytes({ S, V, seen }: SampleCase, width: number): number {
  return S * V * (width + (seen ? 4 : 0))
}
