import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'

/**
 * How experts are chosen for a token from its logits l, and what their outputs are weighed by.
 *
 * `scores` s of an expert: `softmax` over all of them; `sigmoid`; `sqrtSoftplus` √log(1 + eˡ) (DeepSeek-V4);
 * `softmaxOfChosen`, a softmax over the chosen alone (the same as `softmax` normalised, without its bias towards 0);
 * `sparseMixer` (Phi-3.5-MoE): of those not yet chosen the best m is next, its score a softmax over those of them that are
 * near: (m − l) / max(|l|, m) ≤ 2 · jitter.
 */
export interface RoutingSpec {
  /** experts chosen for a token */
  readonly perToken: number
  readonly scores: RoutingScores
  /** of `sparseMixer` */
  readonly jitter?: number
  /** experts are chosen among those of the best groups only: by a group's best expert, or by the sum of its best two */
  readonly groups?: RoutingGroups | null
  /** weights are divided by their sum, which `plus` is added to or which is at least `atLeast`; null: they are not */
  readonly normalize?: { readonly plus: number } | { readonly atLeast: number } | null
  /** factor of all weights (1) */
  readonly scale?: number
}

export type RoutingScores = 'softmax' | 'sigmoid' | 'sqrtSoftplus' | 'softmaxOfChosen' | 'sparseMixer'

export interface RoutingGroups {
  readonly count: number
  readonly kept: number
  readonly by: 'max' | 'bestTwo'
}

const scores: readonly RoutingScores[] = ['softmax', 'sigmoid', 'sqrtSoftplus', 'softmaxOfChosen', 'sparseMixer']

/** Throws `argument` for fields and words that are none, and for numbers that do not go with so many experts. */
export function checkRouting(where: string, routing: RoutingSpec, experts: number): void {
  checkFields(where, 'routing', routing, routingFields)
  checkChoice(where, 'routing.scores', routing.scores, scores)
  const { perToken, groups = null, normalize = null, scale = 1, jitter } = routing
  const fail = (what: string) => new FoveaError('argument', where, `routing: ${what}`)
  const isCount = (n: unknown, most: number) => Number.isInteger(n) && (n as number) >= 1 && (n as number) <= most
  if (!isCount(perToken, experts)) throw fail(`perToken must be 1 to ${experts} experts, got ${perToken}`)
  if (!Number.isFinite(scale)) throw fail(`scale must be a number, got ${scale}`)
  if ((routing.scores === 'sparseMixer') !== (jitter !== undefined) || (jitter !== undefined && !(jitter >= 0)))
    throw fail(`scores sparseMixer, and no others, take a jitter of 0 or more, got ${routing.scores} with ${jitter}`)
  if (normalize) {
    const numbers = Object.entries(normalize)
    const [[name, value] = ['', 0]] = numbers
    if (numbers.length !== 1 || !['plus', 'atLeast'].includes(name) || !(value >= 0))
      throw fail(`normalize is { plus } or { atLeast }, a number of 0 or more, got ${JSON.stringify(normalize)}`)
  }
  if (!groups) return
  checkFields(where, 'routing.groups', groups, groupFields)
  checkChoice(where, 'routing.groups.by', groups.by, ['max', 'bestTwo'])
  const size = experts / groups.count
  if (!isCount(groups.count, experts) || !Number.isInteger(size))
    throw fail(`${experts} experts do not divide into ${groups.count} groups`)
  if (groups.by === 'bestTwo' && size < 2) throw fail(`groups of ${size} experts have no best two`)
  if (!isCount(groups.kept, groups.count))
    throw fail(`of ${groups.count} groups 1 to ${groups.count} can be kept, got ${groups.kept}`)
  if (perToken > groups.kept * size)
    throw fail(`${groups.kept} groups of ${size} experts have no ${perToken} to choose`)
}

const routingFields: FieldsOf<RoutingSpec> = {
  perToken: true,
  scores: true,
  jitter: true,
  groups: true,
  normalize: true,
  scale: true,
}
const groupFields: FieldsOf<RoutingGroups> = { count: true, kept: true, by: true }
