import type { Captured } from '../hooks.ts'
import { type Mask, mask } from './mask.ts'

/**
 * Keys 0 … length − 1 are open to every query; `causal.or(prefix(20))` is a prefix language model (Raffel et al., "T5",
 * 2019, arXiv 1910.10683). `length` may be an i32 tensor [B], one per sequence.
 */
export function prefix(length: number | Captured): Mask {
  return mask(({ k, batch }) => k.lt(typeof length === 'number' ? length : length.at(batch)))
}
