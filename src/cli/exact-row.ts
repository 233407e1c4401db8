/** One row of attention: a query of one head over all keys that it may see. */
export interface AttentionRow {
  readonly query: ArrayLike<number> // [headDim]
  /** key s begins at keys[keyAt(s)], its value at values[valueAt(s)] */
  readonly keys: ArrayLike<number>
  readonly keyAt: (s: number) => number
  readonly values: ArrayLike<number>
  readonly valueAt: (s: number) => number
  readonly valueDim: number
  /** the keys that the query sees are s = from … to − 1 */
  readonly from: number
  readonly to: number
  readonly scale: number
  /** changes a score (natural units, after scaling) */
  readonly score?: (score: number, s: number) => number
}

/** What each operation is rounded by, and what a naive implementation writes to memory: scores, weights, outputs. */
export interface Rounding {
  readonly operation: (x: number) => number
  readonly stored: (x: number) => number
}

/** Nothing is rounded: float64. */
export const exact: Rounding = { operation: (x) => x, stored: (x) => x }
/** Naive loops in f32. */
export const naiveF32: Rounding = { operation: Math.fround, stored: Math.fround }

/** output = Σₛ softmaxₛ(score(query·keyₛ · scale)) · valueₛ, [valueDim]; plain loops that share nothing with a kernel. */
export function exactRow(row: AttentionRow, { operation: round, stored }: Rounding = exact): Float64Array {
  const { query, keys, values, valueDim, from, to } = row
  const weights = new Float64Array(Math.max(0, to - from))
  const scale = round(row.scale)
  let highest = Number.NEGATIVE_INFINITY
  for (let s = from; s < to; s++) {
    const at = row.keyAt(s)
    let sum = 0
    for (let d = 0; d < query.length; d++) sum = round(sum + round((query[d] as number) * (keys[at + d] as number)))
    const scaled = round(sum * scale)
    const score = stored(row.score ? row.score(scaled, s) : scaled)
    weights[s - from] = score
    if (score > highest) highest = score
  }
  let total = 0
  for (let i = 0; i < weights.length; i++) {
    weights[i] = round(Math.exp(round((weights[i] as number) - highest)))
    total = round(total + (weights[i] as number))
  }
  const output = new Float64Array(valueDim)
  for (let s = from; s < to; s++) {
    const weight = stored((weights[s - from] as number) / total)
    const at = row.valueAt(s)
    for (let d = 0; d < valueDim; d++)
      output[d] = round((output[d] as number) + round(weight * (values[at + d] as number)))
  }
  return output.map(stored)
}

/** Root of the mean squared difference, relative to that of the exact values; NaN when anything is NaN. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN
  let [difference, size] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    difference += ((actual[i] as number) - (expected[i] as number)) ** 2
    size += (expected[i] as number) ** 2
  }
  return Math.sqrt(difference / size)
}
