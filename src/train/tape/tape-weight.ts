import type { Tensor } from '../../device/device.ts'

/** A trained or frozen tensor as operations of a tape use it: every `Parameter` is one, and so are several joined to one matrix. */
export interface TapeWeight {
  readonly weight: Tensor // f32
  /** what products read: the narrow copy in mixed precision, else the weight itself */
  readonly compute: Tensor
  /** added to by the way back; null for a frozen weight */
  readonly gradient: Tensor | null // f32
}

/** Is any of them trained? */
export function isTrained(...weights: readonly (TapeWeight | null | undefined)[]): boolean {
  return weights.some((weight) => weight?.gradient)
}
