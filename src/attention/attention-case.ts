import type { BlockMask } from './block-mask.ts'
import type { Captured, MaskMod, ScoreMod } from './hooks.ts'
import type { Normalizer } from './normalizers/normalizer.ts'
import type { PlainPosition } from './softmax/flash.reference.ts'

/** One input of an attention algorithm, and what the reference is told to compute: read by tests, benchmarks and the CLI. */
export interface AttentionCase {
  readonly name: string
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly valueDim: number
  readonly scale?: number
  readonly sinks?: boolean
  readonly normalizer?: Normalizer & { readonly name: 'softmax' | 'softpick' | 'sigmoid' }
  readonly cuSeqlensQ?: readonly number[]
  readonly cuSeqlensK?: readonly number[]
  readonly blockMask?: BlockMask
  /** captured tensors by name: f32 ones are random, i32 ones given */
  readonly captured?: Readonly<Record<string, CapturedInput>>
  readonly hooks?: (captured: Readonly<Record<string, Captured>>) => { maskMod?: MaskMod; scoreMod?: ScoreMod }
  /** the same on plain numbers, for the reference; written without the hooks */
  readonly plain?: PlainHooks
}

export interface CapturedInput {
  readonly shape: readonly number[]
  /** values of an i32 tensor; without them the tensor is f32 and random */
  readonly integers?: readonly number[]
  /** how far random numbers reach to both sides of 0 (2) */
  readonly reach?: number
}

export interface PlainHooks {
  readonly allowed?: (position: PlainPosition, captured: Readonly<Record<string, ArrayLike<number>>>) => boolean
  readonly modify?: (
    score: number,
    position: PlainPosition,
    captured: Readonly<Record<string, ArrayLike<number>>>,
  ) => number
}
