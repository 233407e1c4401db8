import { defineProgram, load, loop, type Program, scalar, select, store, type Value, zeros } from '../../tile/index.ts'
import { drawKey, exponentialDraws } from './exponential-draws.ts'
import { findThreshold, type OverRow, type RowPart } from './find-threshold.ts'
import {
  joinStatistics,
  laneStatistics,
  largest,
  noToken,
  statisticsHeight,
  storedStatistics,
} from './row-statistics.ts'
import { type SampleRowSpec, type Setting, sampleRow } from './sample-row.ts'

/** How a row is read. */
export interface SampleTiles {
  /** columns read at once in the pass that all rows take */
  readonly tileV: number
  /** columns held at once in the passes that draw; `whole`: all of them, for this V */
  readonly drawV: number
  readonly whole: boolean
  /** tokens whose statistics a program of its own makes, where there is place for them; null: never */
  readonly chunkV: number | null
  /** guesses of a pass that looks for a threshold; odd */
  readonly probes: number
}

/** What specialises a sampling program. */
export interface SampleProgramSpec extends SampleTiles, SampleRowSpec {
  /** chunks of a row whose statistics are given; 0: none are */
  readonly chunks: number
}

/**
 * One program owns a row. The first pass finds the highest score, log Σ exp(logits), and whether all logits are numbers, or
 * joins what programs of the row's chunks found; that is all for temperature 0. Filters then take passes that close in on
 * their threshold (`findThreshold`), and the draw takes one. Traffic: the logits as many times as there are passes, once when
 * `whole`.
 */
export function sampleProgram(spec: SampleProgramSpec): Program {
  return defineProgram('sample', (p) => {
    const row = p.programId(0)
    const given = sampleRow(p, spec, row, spec.whole ? (spec.logits.shape[1] as number) : null)
    const { width, setting, logit, read } = given
    const statistics = spec.chunks > 0 ? p.input('statistics', 'f32', [null, statisticsHeight, null]) : null
    const seeds = p.input('seeds', 'u32', [null, 2])
    const ids = p.output('ids', 'i32', [null])
    const logprobs = p.output('logprobs', 'f32', [null])
    const temperature = setting('temperature')

    const first = joinStatistics(
      statistics ? storedStatistics(statistics, row, spec.chunks) : laneStatistics(given, spec.tileV),
    )
    const { m, l, best: top } = first
    const valid = m.le(largest).and(top.gt(-largest)).and(top.le(largest))
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
    const drawing = valid.and(temperature.gt(0))
    const chosen = spec.whole
      ? loop({ to: drawing.select(width, 0), step: spec.drawV }, { token: first.token }, (from) => ({
          token: drawn(rowOf(part(from))),
        })).token
      : loop({ to: drawing.select(scalar(1, 'i32'), 0) }, { token: first.token }, () => ({ token: drawn(rowOf(null)) }))
          .token
    p.emit(store(ids, [row], valid.select(chosen, -1)))
    p.emit(store(logprobs, [row], valid.select(logit(chosen).sub(l.log().add(m)), Number.NaN)))
  })
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
