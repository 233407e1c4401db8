import {
  colRange,
  defineProgram,
  full,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  scalar,
  select,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import { softplus } from '../activations.ts'
import type { RoutingGroups, RoutingSpec } from './routing-spec.ts'

/** What specialises a routing program. */
export interface RouteProgramSpec {
  readonly experts: number
  readonly routing: RoutingSpec
  readonly bias: boolean
  readonly expertScale: boolean
  /** the experts are chosen already */
  readonly given: boolean
}

const lowest = -3.4028234663852886e38
const noExpert = 2 ** 31 - 1

/**
 * One program owns a token; its experts are a tile [groups, experts of a group]. The best is taken out perToken times, of equal
 * ones the first. Traffic: the logits once.
 */
export function routeProgram({ experts, routing, bias, expertScale, given }: RouteProgramSpec): Program {
  const { perToken, groups = null, normalize = null, scores, jitter = 0 } = routing
  const size = experts / (groups?.count ?? 1)
  return defineProgram('route-tokens', (p) => {
    const logits = p.input('logits', 'f32', [null, null])
    const biases = bias ? p.input('bias', 'f32', [null]) : null
    const scales = expertScale ? p.input('expertScale', 'f32', [null]) : null
    const chosen = given ? p.input('chosen', 'i32', [null, null]) : p.output('chosen', 'i32', [null, null])
    const weights = p.output('weights', 'f32', [null, null])
    const scale = p.scalar('scale', 'f32')

    const token = p.programId(0)
    const inGroup = colRange(0, Math.ceil(size / 4) * 4)
    const inside = inGroup.lt(size)
    const index = groups ? rowRange(0, groups.count).mul(size).add(inGroup) : inGroup //       [groups, size]
    const logit = load(logits, [token, index], { where: inside })
    // no number is below what stands for taken
    const open = select(inside, logit.max(lowest), Number.NEGATIVE_INFINITY)
    const score = scoresOf(scores, logit, open, inside)
    // scores rise with their logits, which tell them apart better
    const ranked = biases || groups?.by === 'bestTwo'
    const biased = biases ? score.add(load(biases, [index], { where: inside })) : score
    const rank = ranked ? select(inside, biased.max(lowest), Number.NEGATIVE_INFINITY) : open
    const choice = groups ? inBestGroups(rank, inGroup, groups) : rank

    const slots = colRange(0, Math.ceil(perToken / 4) * 4)
    const start = { rank: choice, weights: zeros([1, slots.cols]), total: scalar(0) }
    const found = loop(
      { to: scalar(perToken, 'i32') },
      start,
      (slot, carried, emit) => {
        const best = largestOf(carried.rank)
        const first = smallestOf(select(carried.rank.eq(best), index, noExpert)).min(experts - 1)
        const expert = given ? load(chosen, [token, slot]) : first
        const own = index.eq(expert).and(inside)
        const weight =
          scores === 'sparseMixer' ? nearScore(carried.rank, logit, best, jitter) : sumOf(select(own, score, 0))
        if (!given) emit(store(chosen, [token, slot], expert))
        const scaled = scales ? weight.mul(load(scales, [expert])) : weight
        return {
          rank: select(own, Number.NEGATIVE_INFINITY, carried.rank),
          weights: select(slots.eq(slot), scaled, carried.weights),
          total: carried.total.add(weight),
        }
      },
      given ? undefined : p.emit,
    )
    const divisor = divisorOf(found.total, scores === 'softmaxOfChosen' ? { plus: 0 } : normalize, p)
    p.emit(store(weights, [token, slots], found.weights.mul(divisor ? scale.div(divisor) : scale)))
  })
}

const largestOf = (x: Value) => x.rowMax().colMax()
const smallestOf = (x: Value) => x.rowMin().colMin()
const sumOf = (x: Value) => x.rowSum().colSum()

function scoresOf(scores: RoutingSpec['scores'], logit: Value, open: Value, inside: Value): Value {
  switch (scores) {
    case 'sigmoid':
      return logit.sigmoid()
    case 'sqrtSoftplus':
      return softplus(logit).sqrt()
    case 'sparseMixer':
      return logit
    case 'softmax':
    case 'softmaxOfChosen': {
      const e = select(inside, logit.sub(largestOf(open)).exp(), 0)
      return scores === 'softmax' ? e.div(sumOf(e)) : e
    }
    default:
      return scores satisfies never
  }
}

/** A softmax over those not yet taken whose logit is near the best, which is it. */
function nearScore(rank: Value, logit: Value, best: Value, jitter: number): Value {
  const distance = best.sub(rank).div(logit.abs().max(best))
  const taken = rank.eq(Number.NEGATIVE_INFINITY)
  return sumOf(select(distance.gt(2 * jitter).or(taken), 0, rank.sub(best).exp())).reciprocal()
}

function inBestGroups(rank: Value, inGroup: Value, { count, kept, by }: RoutingGroups): Value {
  const group = rowRange(0, count)
  const best = rank.rowMax() //                                                                [groups, 1]
  let value = best
  if (by === 'bestTwo') {
    const first = select(rank.eq(best), inGroup, noExpert).rowMin()
    value = best.add(select(inGroup.eq(first), Number.NEGATIVE_INFINITY, rank).rowMax())
  }
  const start = { value: value.max(lowest), kept: zeros([count, 1]) }
  const found = loop({ to: scalar(kept, 'i32') }, start, (_, carried) => {
    const top = select(carried.value.eq(carried.value.colMax()), group, noExpert).colMin()
    const own = group.eq(top)
    return {
      value: select(own, Number.NEGATIVE_INFINITY, carried.value),
      kept: select(own, 1, carried.kept),
    }
  })
  return select(found.kept.gt(0), rank, full([1, 1], Number.NEGATIVE_INFINITY))
}

function divisorOf(
  total: Value,
  normalize: NonNullable<RoutingSpec['normalize']> | null,
  p: ProgramBuilder,
): Value | null {
  if (!normalize) return null
  const floor = p.scalar('floor', 'f32')
  return 'plus' in normalize ? total.add(floor) : total.max(floor)
}
