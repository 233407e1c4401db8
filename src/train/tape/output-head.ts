import type { TapeWeight } from './tape-weight.ts'

/** From hidden states to logits: softCap(x · weightᵀ + bias). */
export interface OutputHead {
  readonly weight: TapeWeight // [V, C]
  readonly bias: TapeWeight | null // [V]
  /** c of c · tanh(x / c); null for none */
  readonly softCap: number | null
}
