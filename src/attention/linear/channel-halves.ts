import { colRange, rowRange, type Value } from '../../tile/index.ts'

/**
 * Pairs of tokens i, j of a chunk whose decays differ by channel, at one level: tokens are taken in halves of 2^level, and a
 * pair parts company where i lies in the right and j in the left half of one pair of halves; each then goes to the middle by
 * itself.
 */
export function channelHalves(chunk: number, level: Value): { readonly onTheWay: Value; readonly pairs: Value } {
  const [i, j] = [rowRange(0, chunk), colRange(0, chunk)]
  const [halfI, halfJ] = [i.shr(level), j.shr(level)]
  const isRight = halfI.and(1).eq(1) //                                                 [C, 1]
  return {
    // the tokens between i and the middle: up to i from the middle, or after i up to the middle
    onTheWay: isRight
      .and(j.le(i))
      .or(isRight.not().and(j.gt(i)))
      .and(halfI.eq(halfJ)), //                                                         [C, C]
    pairs: isRight.and(halfI.eq(halfJ.add(1))), //                                      [C, C]
  }
}
