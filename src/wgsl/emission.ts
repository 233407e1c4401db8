import type { Node } from '../ir/index.ts'
import type { DotNode } from '../ir/node.ts'
import type { Barriers, MemoryRange } from './barriers.ts'
import type { DotPlan } from './dot-plan.ts'
import type { Lowering } from './lowering.ts'
import type { TextWriter } from './text-writer.ts'

/** Sizes that subgroups can have on the device; null where subgroup operations are not used. */
export interface SubgroupSizes {
  readonly min: number
  readonly max: number
}

/** A lowering while statements are written: what lies in workgroup memory, and what is pending there. */
export interface Emission extends Lowering {
  readonly subgroups: SubgroupSizes | null
  readonly unroll: number
  readonly barriers: Barriers
  memory(owner: Node, role: string): MemoryRange
  dotPlan(dot: DotNode): DotPlan
}

export function writeBarrier(w: TextWriter): () => void {
  return () => w.line('workgroupBarrier();')
}
