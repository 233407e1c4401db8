import { type Mask, mask } from './mask.ts'

/**
 * The first `global` keys and queries see and are seen by all; the others see |q − k| ≤ window (Zaheer et al., "Big Bird",
 * 2020, arXiv 2007.14062, without its random blocks).
 */
export function globalSliding(global: number, window: number): Mask {
  return mask(({ q, k }) => k.lt(global).or(q.lt(global)).or(q.sub(k).abs().le(window)))
}
