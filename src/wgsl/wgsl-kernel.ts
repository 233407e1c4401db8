import type { TensorArguments } from './argument-layout.ts'
import type { TensorBinding } from './bind-tensors.ts'
import type { Tier } from './capabilities.ts'
import type { GridForm } from './grid-form.ts'

/** A program as a compute shader: one workgroup per point of the grid, or per program of the grid that `foldGrid` makes of it. */
export interface WgslKernel {
  readonly code: string
  readonly entryPoint: string
  readonly workgroupSize: readonly [number, number, number]
  readonly tier: Tier
  readonly workgroupBytes: number
  /** in group 0, in the order of the program's tensors; buffers of chunked tensors must be whole multiples of 16 bytes */
  readonly bindings: readonly TensorBinding[]
  /** the uniform buffer, in group 0 */
  readonly argsBinding: number
  readonly form: GridForm
  /** the uniform buffer's content; tensors and scalars each in the order of the program's parameters of that kind; `grid` where the form is folded */
  packArguments(
    tensors: readonly TensorArguments[],
    scalars: readonly number[],
    grid?: readonly [number, number, number],
  ): ArrayBuffer
  /** remarks on the choices made, such as why a tier was not taken */
  readonly notes: readonly string[]
}
