export interface TokenLogLikelihoodCase {
  readonly name: string
  readonly N: number
  readonly V: number
  readonly softCap: number | null
  /** logits are drawn from −scale … scale */
  readonly scale: number
  /** added to all logits */
  readonly shift: number
  /** logits grow along the row, so that the running maximum changes in every tile */
  readonly rising: boolean
  /** all but this many logits of a row are −∞; null for none */
  readonly possible: number | null
}

const plain: TokenLogLikelihoodCase = {
  name: '',
  N: 5,
  V: 512,
  softCap: null,
  scale: 5,
  shift: 0,
  rising: false,
  possible: null,
}
const vary = (name: string, change: Partial<TokenLogLikelihoodCase>): TokenLogLikelihoodCase => ({
  ...plain,
  ...change,
  name,
})

/** Chosen to expose: a vocabulary that is no tile, maxima that grow or start far from 0, tokens that cannot be, no target. */
export const tokenLogLikelihoodCases: readonly TokenLogLikelihoodCase[] = [
  vary('plain', {}),
  vary('one token', { N: 1, V: 1 }),
  vary('odd', { N: 3, V: 4099 }),
  vary('a maximum that grows', { V: 5000, rising: true, scale: 40 }),
  vary('far from 0', { V: 700, shift: -1e4 }),
  vary('a soft cap', { V: 700, softCap: 30, scale: 60 }),
  vary('one that can be', { V: 2500, possible: 1 }),
  vary('few that can be', { V: 2500, possible: 7 }),
]

/** logits [N, V] and targets [N], the last of them −1 when there are several; `random` gives −1 … 1. */
export function tokenLogLikelihoodInputs(of: TokenLogLikelihoodCase, random: () => number) {
  const { N, V, scale, shift, rising, possible } = of
  const draw = (v: number) => Math.fround(shift + random() * scale + (rising ? (scale * v) / V : 0))
  const logits = Float64Array.from({ length: N * V }, (_, i) => draw(i % V))
  const targets = Array.from({ length: N }, (_, n) =>
    N > 1 && n === N - 1 ? -1 : Math.floor(Math.abs(random()) * V) % V,
  )
  if (possible !== null)
    for (let n = 0; n < N; n++) {
      const kept = new Set([Math.max(0, targets[n] as number)])
      while (kept.size < possible) kept.add(Math.floor(Math.abs(random()) * V) % V)
      for (let v = 0; v < V; v++) if (!kept.has(v)) logits[n * V + v] = Number.NEGATIVE_INFINITY
    }
  return { logits, targets }
}

/** Bytes that a call must read, at `width` bytes a logit. */
export function tokenLogLikelihoodBytes({ N, V }: TokenLogLikelihoodCase, width: number): number {
  return width * N * V
}
