import {
  colRange,
  defineProgram,
  full,
  load,
  loop,
  type Program,
  scalar,
  select,
  sizeOf,
  store,
  type TensorParam,
  type Value,
  zeros,
} from '../../tile/index.ts'
import { type RowScores, type SampleRow, type SampleRowSpec, sampleRow } from './sample-row.ts'

/** Of some tokens: their highest logit m with l = Σ exp(logit − m), and the highest score with the first token that has it. */
export interface RowStatistics {
  readonly m: Value
  readonly l: Value
  readonly best: Value
  readonly token: Value
}

export const largest = 3.4028234663852886e38
export const noToken = 2 ** 31 - 1
/** statistics of a chunk of a row, a number each */
export const statisticsHeight = 4
/** vocabularies up to which a token is an f32 */
export const mostTokens = 2 ** 24

/** what is no number or +∞ counts as +∞, and tells that the row has no distribution */
const counted = (x: Value) => select(x.le(largest), x, Number.POSITIVE_INFINITY)

/** The statistics of a row in steps of tileV tokens, lane by lane: one exponential for either of max and sum. */
export function laneStatistics({ width, read }: SampleRow, tileV: number): RowStatistics {
  const shape = [1, tileV] as const
  const init = {
    m: full(shape, -largest),
    l: zeros(shape),
    best: full(shape, -largest),
    token: full(shape, noToken, 'i32'),
  }
  return loop({ to: width, step: tileV }, init, (from, lane) => {
    const { tokens, x: given, scores } = read(from, tileV)
    const x = counted(given)
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
}

/** The statistics of all lanes together. */
export function joinStatistics({ m, l, best, token }: RowStatistics): RowStatistics {
  const [highest, top] = [m.rowMax(), best.rowMax()]
  return {
    m: highest,
    l: l.mul(m.sub(highest).exp()).rowSum(),
    best: top,
    token: select(best.eq(top), token, noToken).rowMin(),
  }
}

/**
 * A program owns chunkV tokens of a row and stores their statistics, so that many share the work of a long row; the grid is
 * [chunks, S]. Traffic: the logits once.
 */
export function rowStatisticsProgram(spec: SampleRowSpec, chunkV: number): Program {
  return defineProgram('row-statistics', (p) => {
    const [chunk, row] = [p.programId(0), p.programId(1)]
    const { read } = sampleRow(p, spec, row, null)
    const statistics = p.output('statistics', 'f32', [null, statisticsHeight, null])
    const { m, l, best, token } = joinStatistics(oneEach(read(chunk.mul(chunkV), chunkV)))
    for (const [i, value] of [m, l, best, token.min(mostTokens).cast('f32')].entries())
      p.emit(store(statistics, [row, i, chunk], value))
  })
}

/** The statistics that such programs stored, for at most `chunks` chunks, a lane each. */
export function storedStatistics(statistics: TensorParam, row: Value, chunks: number): RowStatistics {
  const lanes = colRange(0, Math.ceil(chunks / 4) * 4)
  const inside = lanes.lt(sizeOf(statistics, 2))
  const stored = (i: number, none: number) => select(inside, load(statistics, [row, i, lanes]), none)
  return {
    m: stored(0, -largest),
    l: stored(1, 0),
    best: stored(2, -largest),
    token: stored(3, mostTokens).cast('i32'),
  }
}

/** The statistics of each token by itself. */
function oneEach({ tokens, x: given, scores }: RowScores): RowStatistics {
  const x = counted(given)
  return {
    m: x.max(-largest),
    l: select(x.gt(Number.NEGATIVE_INFINITY), scalar(1), 0),
    // scores that are no numbers are not the highest
    best: select(scores.gt(-largest), scores, -largest),
    token: tokens,
  }
}
