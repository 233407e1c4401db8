import type { Tensor } from '../device/device.ts'

/** A tensor that is trained: views of the flat tensors of its group. */
export interface Parameter {
  readonly name: string
  readonly shape: readonly number[]
  readonly weight: Tensor // f32
  readonly gradient: Tensor // f32
  readonly compute: Tensor // the narrow copy, or weight itself
  readonly group: ParameterGroup
  /** of its first element in the flat tensors */
  readonly offset: number
}

/** Parameters that are updated alike, flat in one tensor each. */
export interface ParameterGroup {
  readonly name: string
  readonly size: number
  readonly weight: Tensor // f32 [size]
  readonly gradient: Tensor // f32 [size]
  readonly compute: Tensor | null // f16 or bf16 [size]
  readonly parameters: readonly Parameter[]
  readonly weightDecay: number
  readonly learningRateFactor: number
  readonly optimizer?: string
}
