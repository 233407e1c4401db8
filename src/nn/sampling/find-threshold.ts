import { full, loop, rowRange, scalar, select, type Value, zeros } from '../../tile/index.ts'

/** A stretch of a row of scores, each value [1, n]. */
export interface RowPart {
  /** token numbers (i32) */
  readonly tokens: Value
  /** scores after penalties; −∞ beyond the row */
  readonly scores: Value
  /** exp((score − highest) / temperature) */
  readonly weights: Value
}

/** Runs `body` over all parts of a row, or not at all when `active` (a bool scalar) does not hold. */
export type OverRow = <Carried extends Readonly<Record<string, Value>>>(
  active: Value,
  init: Carried,
  body: (part: RowPart, carried: Carried) => { readonly [K in keyof Carried]: Value },
) => { readonly [K in keyof Carried]: Value }

export interface ThresholdSearch {
  readonly overRow: OverRow
  /** is there anything to look for? (bool scalar) */
  readonly active: Value
  /** what each score counts for */
  readonly measure: (part: RowPart) => Value
  readonly target: Value
  /** scores of the row between which the threshold is; both may be it */
  readonly low: Value
  readonly high: Value
  /** how many guesses a pass tries; odd */
  readonly probes: number
}

/** rounds after which one guess a pass is sure to have met: one for the sign, 8 for the exponent, 24 for the digits, and some */
const rounds = 40

/**
 * The lowest score t of a row such that the scores above t count for less than `target` in all: exactly, and without sorting.
 * A pass over the row measures what is above each of a few guesses, and tells the scores next to a guess on either side, so
 * that both ends of the interval are always scores of the row and each pass leaves out at least one; halving the interval
 * as `guesses` does leaves 2⁻ⁿ of what floats there are in it. Where `active` does not hold the result is `high`.
 */
export function findThreshold({ overRow, active, measure, target, low, high, probes }: ThresholdSearch): Value {
  const found = loop({ to: active.select(scalar(rounds, 'i32'), 0) }, { low, high }, (_, ends) => {
    const open = ends.low.lt(ends.high)
    const guess = guesses(ends.low, ends.high, probes) //                                [probes, 1]
    const init = {
      above: zeros([probes, 1]),
      below: full([probes, 1], Number.NEGATIVE_INFINITY),
      next: full([probes, 1], Number.POSITIVE_INFINITY),
    }
    const { above, below, next } = overRow(open, init, (part, carried) => {
      const higher = part.scores.gt(guess) //                                            [probes, n]
      return {
        above: carried.above.add(select(higher, measure(part), 0).rowSum()),
        below: carried.below.max(select(higher, Number.NEGATIVE_INFINITY, part.scores).rowMax()),
        next: carried.next.min(select(higher, part.scores, Number.POSITIVE_INFINITY).rowMin()),
      }
    })
    // low enough: the threshold is the guess or below it; else it is one of the scores above
    const enough = above.lt(target)
    const lower = select(enough, below, ends.high).colMin()
    const upper = select(enough, ends.low, next).colMax()
    return {
      low: open.select(ends.low.max(upper), ends.low),
      high: open.select(ends.high.min(lower), ends.high),
    }
  })
  return found.high
}

/**
 * Numbers in low ≤ x < high, rising, that halve (with several: divide) what floats there are between: about 0 when the
 * ends' signs differ, by exponents while those differ, else evenly.
 */
function guesses(low: Value, high: Value, count: number): Value {
  const side = (count - 1) / 2
  const part = rowRange(1, count)
    .cast('f32')
    .mul(1 / (count + 1)) //        (0, 1)
  const around = rowRange(-side, count)
    .cast('f32')
    .mul(1 / (side + 1)) //   (−1, 1)
  const bySign = around.lt(0).select(low.mul(around.neg()), high.mul(around))
  const [a, b] = [exponent(low), exponent(high)]
  const size = a.add(b.sub(a).mul(part)).exp2()
  const byExponent = high.gt(0).select(size, size.neg())
  const evenly = low.add(high.sub(low).mul(part))
  const [nearer, farther] = [low.abs().min(high.abs()), low.abs().max(high.abs())]
  const oneSign = farther.gt(nearer.mul(2)).select(byExponent, evenly)
  const guess = low.lt(0).and(high.gt(0)).select(bySign, oneSign).max(low)
  return guess.lt(high).select(guess, low)
}

/** log2 |x|, no less than that of the smallest normal number */
const exponent = (x: Value) =>
  x
    .abs()
    .max(2 ** -126)
    .log2()
