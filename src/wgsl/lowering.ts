import type { Node, Program, TensorParam } from '../ir/index.ts'
import type { ArgumentLayout } from './argument-layout.ts'
import type { HelperUse } from './element-functions.ts'
import type { StorageFormat } from './storage-format.ts'
import type { ThreadGrid } from './thread-grid.ts'

/** A bound tensor: the name of its buffer in WGSL and how its elements lie there. */
export interface BoundTensor {
  readonly buffer: string
  readonly format: StorageFormat
}

/** What rendering of values needs to know of the kernel being written. */
export interface Lowering {
  readonly program: Program
  readonly grid: ThreadGrid
  /** f16 is a type of the shader */
  readonly halves: boolean
  readonly args: ArgumentLayout
  readonly helper: HelperUse
  bound(tensor: TensorParam): BoundTensor
  /** values that are computed where they are used, from coordinates alone, and have no name */
  isVirtual(node: Node): boolean
  /** values that can be computed anew at any coordinates, whether or not registers hold them too */
  isPointwise?(node: Node): boolean
  /** the WGSL name of row i, chunk j of a value held in registers */
  register(node: Node, i: number, j: number): string
}
