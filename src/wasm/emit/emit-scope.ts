import { isFloat } from '../../ir/dtype.ts'
import type { Node } from '../../ir/node.ts'
import type { FunctionBuilder } from '../assembler/function-builder.ts'
import type { Local, ValueType } from '../assembler/instruction.ts'
import type { Slots } from '../plan/assign-slots.ts'
import type { Plan } from '../plan/build-plan.ts'
import type { KernelFrame } from './kernel-frame.ts'

/** What the emitters of one kernel share. */
export interface EmitScope {
  readonly f: FunctionBuilder
  readonly frame: KernelFrame
  readonly plan: Plan
  readonly slots: Slots
  /** fused multiply-add may be used */
  readonly relaxed: boolean
  /** micro-kernels of four vectors a row, for an engine that joins pairs of vectors into wider registers */
  readonly wide: boolean
  /** address of this worker's scratch */
  readonly scratch: Local
  readonly programIds: readonly [Local, Local, Local]
  /** the locals of scalar values and loop variables */
  readonly scalars: Map<Node, Local>
  /** a region of zeros, read in place of rows outside a tensor, and one that takes what is stored there */
  readonly zeroRow: RowRegion
  readonly spareRow: RowRegion
}

/** A piece of scratch for one row. */
export interface RowRegion {
  readonly offset: number
}

/** The type of a scalar's local: floats f32, all else i32 (a bool is 0 or 1). */
export function localType(node: Node): ValueType {
  return isFloat(node.dtype) ? 'f32' : 'i32'
}
