import type { MaskMod, Position } from '../hooks.ts'

/** A `maskMod` that combines with others: `causal.and(slidingWindow(1024))`. */
export interface Mask extends MaskMod {
  /** both allow it */
  and(other: MaskMod): Mask
  /** either allows it */
  or(other: MaskMod): Mask
  /** this one forbids it */
  not(): Mask
}

/** Makes any mask function combinable. */
export function mask(allowed: MaskMod): Mask {
  const call = (position: Position) => allowed(position)
  return Object.assign(call, {
    and: (other: MaskMod) => mask((position) => allowed(position).and(other(position))),
    or: (other: MaskMod) => mask((position) => allowed(position).or(other(position))),
    not: () => mask((position) => allowed(position).not()),
  })
}
