import { type Mask, mask } from './mask.ts'

/** Query q attends to keys 0 … q: aligned at the top left. */
export const causal: Mask = mask(({ q, k }) => q.ge(k))

/** Query q attends to keys 0 … q + offset: the queries stand `offset` keys into the sequence. */
export function causalOffset(offset: number): Mask {
  return mask(({ q, k }) => q.add(offset).ge(k))
}

/**
 * The last query attends to all keys: `causalOffset(kLength − qLength)`, with the lengths of the call, so that a growing
 * cache compiles nothing.
 */
export const causalBottomRight: Mask = mask(({ q, k, qLength, kLength }) => q.add(kLength.sub(qLength)).ge(k))
