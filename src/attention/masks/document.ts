import type { Captured } from '../hooks.ts'
import { type Mask, mask } from './mask.ts'

/**
 * Queries attend within their own document: ids[q] = ids[k]. `ids` is an integer tensor [S], or [B, S] with one row per
 * sequence; queries and keys share it. Blocks that two documents do not share are skipped.
 */
export function document(ids: Captured): Mask {
  const shared = ids.shape.length === 1
  return mask(({ q, k, batch }) => (shared ? ids.at(q).eq(ids.at(k)) : ids.at(batch, q).eq(ids.at(batch, k))))
}
