import { type Mask, mask } from './mask.ts'

/**
 * q − left ≤ k ≤ q + right (Beltagy, Peters and Cohan, "Longformer", 2020, arXiv 2004.05150). `right` defaults to 0: the
 * query, and `left` keys before it.
 */
export function slidingWindow(left: number, right = 0): Mask {
  return mask(({ q, k }) => k.ge(q.sub(left)).and(k.le(q.add(right))))
}
