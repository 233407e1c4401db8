import type { Tensor } from '../device/device.ts'
import type { NormSpec } from './decoder-spec.ts'

/** Weight and bias of a normalisation. */
export interface PlacedNorm {
  readonly spec: NormSpec
  readonly weight: Tensor // [C]
  readonly bias: Tensor | null // [C]
}
