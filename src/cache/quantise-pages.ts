import { max, select, type Value } from '../tile/index.ts'

/** Some columns of a head of several tokens [n, c]. */
export interface Piece {
  readonly columns: Value // i32 [1, c]
  readonly value: Value // [n, c]
}

/** A head of several tokens as whole numbers, and what they are multiples of. */
export interface QuantisedHead {
  readonly pieces: readonly Piece[]
  readonly scale: Value // f32 [n, 1]
}

/** Numbers of 8 bits: x ≈ scale · q with scale = max |x| / 127 over the head, q from −127 to 127. Zeros stay zeros. */
export function quantise8(pieces: readonly Piece[]): QuantisedHead {
  const top = pieces.map(({ value }) => value.abs().rowMax()).reduce((a, b) => max(a, b)) //  [n, 1]
  const steps = select(top.gt(0), top.reciprocal().mul(127), 0)
  return {
    pieces: pieces.map(({ columns, value }) => ({ columns, value: value.mul(steps).round().cast('i32') })),
    scale: top.mul(1 / 127),
  }
}

/**
 * Numbers of 4 bits, as ggml's Q4_0: x ≈ scale · (q − 8) with scale = e / −8, e the x that is farthest from 0, q from 0 to 15.
 * Takes the two halves of a head, gives bytes with an element of the first in the low half and one of the second in the high.
 */
export function quantise4(halves: readonly Piece[]): QuantisedHead {
  const [low, high] = halves as readonly [Piece, Piece]
  const top = max(low.value.rowMax(), high.value.rowMax())
  const bottom = low.value.rowMin().min(high.value.rowMin())
  const extreme = select(top.gt(bottom.neg()), top, bottom) //                                [n, 1]
  const steps = select(extreme.eq(0), 0, extreme.reciprocal().mul(-8))
  const bits = ({ value }: Piece) => value.mul(steps).round().add(8).max(0).min(15).cast('i32')
  return {
    pieces: [{ columns: low.columns, value: bits(low).or(bits(high).shl(4)) }],
    scale: extreme.mul(-1 / 8),
  }
}
