import {
  alignmentOf,
  colRange,
  defineProgram,
  full,
  load,
  loop,
  type Operand,
  type Program,
  scalar,
  select,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
  zeros,
} from '../../tile/index.ts'
import { softCap } from '../activations.ts'
import { drawKey, exponentialDraws } from './exponential-draws.ts'
import { findThreshold, type OverRow, type RowPart } from './find-threshold.ts'
import { settingsFields, settingsWidth } from './sampling-settings.ts'

/** How a row is read. */
export interface SampleTiles {
  /** columns read at once in the pass that all rows take */
  readonly tileV: number
  /** columns held at once in the passes that draw; `whole`: all of them, for this V */
  readonly drawV: number
  readonly whole: boolean
  /** guesses of a pass that looks for a threshold; odd */
  readonly probes: number
}

/** What specialises a sampling program. */
export interface SampleProgramSpec extends SampleTiles {
  readonly logits: TensorSpec // [S, V]
  /** occurrences are given: i32 [slots, V] */
  readonly seen: TensorSpec | null
  readonly softCap: number | null
}

const largest = 3.4028234663852886e38
const noToken = 2 ** 31 - 1

type Setting = (typeof settingsFields)[number]

/**
 * One program owns a row. The first pass finds the highest score, log Σ exp(logits), and whether all logits are numbers; that is
 * all for temperature 0. Filters then take passes that close in on their threshold (`findThreshold`), and the draw takes one.
 * Traffic: the logits as many times as there are passes, once when `whole`.
 */
export function sampleProgram(spec: SampleProgramSpec): Program {
  const cap = spec.softCap === null ? (x: Value) => x : softCap(spec.softCap)
  return defineProgram('sample', (p) => {
    const V = spec.whole ? (spec.logits.shape[1] as number) : null
    const logits = p.input('logits', spec.logits.dtype, [null, V], { alignment: alignmentOf(spec.logits) })
    const settings = p.input('settings', 'f32', [null, settingsWidth])
    const seeds = p.input('seeds', 'u32', [null, 2])
    const seen = spec.seen && p.input('seen', 'i32', [null, V], { alignment: alignmentOf(spec.seen) })
    const slots = seen && p.input('slots', 'i32', [null])
    const ids = p.output('ids', 'i32', [null])
    const logprobs = p.output('logprobs', 'f32', [null])
    const row = p.programId(0)
    const width = sizeOf(logits, 1)
    const setting = (name: Setting) => load(settings, [row, settingsFields.indexOf(name)])
    const temperature = setting('temperature')

    const logit = (v: Operand) => cap(load(logits, [row, v]).cast('f32'))
    const penalised = seen && slots ? penalties(setting, (v) => load(seen, [load(slots, [row]), v])) : null
    /** logits and scores of n tokens from `from` on, −∞ beyond the row */
    const read = (from: Operand, n: number) => {
      const tokens = colRange(from, n)
      const inside = tokens.lt(width)
      const x = logit(tokens)
      const bounded = (value: Value) => select(inside, value, Number.NEGATIVE_INFINITY)
      return { tokens, x: bounded(x), scores: bounded(penalised ? penalised(x, tokens) : x) }
    }

    const first = firstPass(width, spec.tileV, (from) => read(from, spec.tileV))
    const { top } = first
    const weigh = (scores: Value) => scores.sub(top).div(temperature).exp()
    const part = (from: Value): RowPart => {
      const { tokens, scores } = read(from, spec.drawV)
      return { tokens, scores, weights: weigh(scores) }
    }
    const rowOf =
      (held: RowPart | null): OverRow =>
      (active, init, body) =>
        loop({ to: active.select(width, 0), step: spec.drawV }, init, (from, carried) =>
          body(held ?? part(from), carried),
        )
    const drawn = (overRow: OverRow) => {
      const threshold = filterThreshold(overRow, setting, top, spec.probes)
      const key = drawKey(load(seeds, [row, 0]), load(seeds, [row, 1]))
      return race(overRow, threshold, (tokens) => exponentialDraws(key, tokens))
    }
    const drawing = first.valid.and(temperature.gt(0))
    const chosen = spec.whole
      ? loop({ to: drawing.select(width, 0), step: spec.drawV }, { token: first.token }, (from) => ({
          token: drawn(rowOf(part(from))),
        })).token
      : loop({ to: drawing.select(scalar(1, 'i32'), 0) }, { token: first.token }, () => ({ token: drawn(rowOf(null)) }))
          .token
    p.emit(store(ids, [row], first.valid.select(chosen, -1)))
    p.emit(store(logprobs, [row], first.valid.select(logit(chosen).sub(first.lse), Number.NaN)))
  })
}

/** Scores of tokens by what occurred: see `SamplingSettings`. Rows without penalties read no occurrences. */
function penalties(setting: (name: Setting) => Value, occurrences: (tokens: Value) => Value) {
  const [repetition, presence, frequency] = [
    setting('repetitionPenalty'),
    setting('presencePenalty'),
    setting('frequencyPenalty'),
  ]
  const any = repetition.ne(1).or(presence.ne(0)).or(frequency.ne(0))
  return (x: Value, tokens: Value): Value => {
    const count = occurrences(tokens)
    const generated = count.shr(1)
    const repeated = count.gt(0).select(x.gt(0).select(x.div(repetition), x.mul(repetition)), x)
    const once = generated.gt(0).select(repeated.sub(presence), repeated)
    return any.select(once.sub(generated.cast('f32').mul(frequency)), x)
  }
}

/**
 * Lane by lane: the highest score with the first token that has it, and max and sum of exponentials of the logits, one
 * exponential for either. What is no number or +∞ counts as +∞, and tells that the row has no distribution.
 */
function firstPass(
  width: Value,
  tileV: number,
  read: (from: Value) => { readonly tokens: Value; readonly x: Value; readonly scores: Value },
) {
  const shape = [1, tileV] as const
  const init = {
    m: full(shape, -largest),
    l: zeros(shape),
    best: full(shape, -largest),
    token: full(shape, noToken, 'i32'),
  }
  const { m, l, best, token } = loop({ to: width, step: tileV }, init, (from, lane) => {
    const { tokens, x: given, scores } = read(from)
    const x = select(given.le(largest), given, Number.POSITIVE_INFINITY)
    const distance = x.sub(lane.m)
    const e = distance.abs().neg().exp()
    const better = scores.gt(lane.best)
    return {
      m: lane.m.max(x),
      l: distance.gt(0).select(lane.l.mul(e).add(1), lane.l.add(e)),
      best: better.select(scores, lane.best),
      token: better.select(tokens, lane.token),
    }
  })
  const highest = m.rowMax()
  const top = best.rowMax()
  return {
    top,
    token: select(best.eq(top), token, noToken).rowMin(),
    lse: l.mul(m.sub(highest).exp()).rowSum().log().add(highest),
    valid: highest.le(largest).and(top.gt(-largest)).and(top.le(largest)),
  }
}

/** The lowest score that top-k, then top-p of what is left, then min-p keep. */
function filterThreshold(overRow: OverRow, setting: (name: Setting) => Value, top: Value, probes: number): Value {
  const [topK, topP, minP] = [setting('topK'), setting('topP'), setting('minP')]
  const ranked = topK.gt(0).or(topP.lt(1))
  // scores so far below the highest that their weight is 0 are never drawn, and need no place
  const start = { count: zeros([1, 1]), low: top }
  const { count, low } = overRow(ranked, start, ({ scores, weights }, sums) => {
    const possible = weights.gt(0)
    return {
      count: sums.count.add(select(possible, scalar(1), 0).rowSum()),
      low: sums.low.min(select(possible, scores, Number.POSITIVE_INFINITY).rowMin()),
    }
  })
  const byCount = topK.gt(0).and(topK.lt(count))
  const one = () => scalar(1)
  const kth = findThreshold({ overRow, active: byCount, measure: one, target: topK, low, high: top, probes })
  const afterK = select(byCount, kth, low)

  const byMass = topP.lt(1)
  const { mass } = overRow(byMass, { mass: zeros([1, 1]) }, ({ scores, weights }, sums) => ({
    mass: sums.mass.add(select(scores.ge(afterK), weights, 0).rowSum()),
  }))
  const weight = ({ weights }: RowPart) => weights
  const target = topP.mul(mass)
  const nth = findThreshold({ overRow, active: byMass, measure: weight, target, low: afterK, high: top, probes })
  const afterP = select(byMass, nth, select(ranked, afterK, -largest))
  return minP.gt(0).select(afterP.max(top.add(setting('temperature').mul(minP.log()))), afterP)
}

/**
 * A token drawn with probability in proportion to its weight: of independent exponential times with these rates, the first
 * (the highest of their reciprocals, weight / time). Each token's time is its own, so no order of the row is in the result.
 */
function race(overRow: OverRow, threshold: Value, times: (tokens: Value) => Value): Value {
  const init = { best: scalar(-1), token: scalar(noToken, 'i32') }
  return overRow(scalar(true), init, ({ tokens, scores, weights }, carried) => {
    const speed = select(scores.ge(threshold), weights.div(times(tokens)), -1)
    const best = speed.rowMax()
    const token = select(speed.eq(best), tokens, noToken).rowMin()
    const better = best.gt(carried.best)
    return { best: better.select(best, carried.best), token: better.select(token, carried.token) }
  }).token
}
