import { isFloat, type Node } from '../ir/index.ts'
import type { DotNode, LoopNode } from '../ir/node.ts'
import {
  type DotPlan,
  innerSize,
  type StagedOperand,
  type StagedType,
  sliceGrain,
  stagedChunks,
  stagedOperand,
} from './dot-plan.ts'
import type { NodeUses } from './node-uses.ts'
import type { ThreadGrid } from './thread-grid.ts'
import type { WgslTuning } from './tuning.ts'

export interface DotPlanInputs {
  readonly uses: NodeUses
  readonly grid: ThreadGrid
  readonly isVirtual: (node: Node) => boolean
  readonly halves: boolean
  /** workgroup memory that the operands of dots may take */
  readonly bytes: number
  readonly tuning: WgslTuning
}

const chunkBytes: Readonly<Record<StagedType, number>> = { f32: 16, f16: 8 }

export function operandBytes(operand: StagedOperand): number {
  return stagedChunks(operand) * chunkBytes[operand.type]
}

/** What a dot needs while it runs, without operands that are kept. */
export function transientBytes(plan: DotPlan): number {
  return [plan.a, plan.b].reduce((sum, operand) => sum + (operand.before ? 0 : operandBytes(operand)), 0)
}

/**
 * Decides for every dot which operands are kept in workgroup memory over a loop, and how much of the inner dimension is
 * staged at once: everything when it fits, else the longest slices that do. A dot that fits in no way gets its smallest plan;
 * the caller compares the sum with the device.
 */
export function planDots(inputs: DotPlanInputs): DotPlan[] {
  const { uses, bytes } = inputs
  let plans = uses.dots.map((dot) => smallest(inputs, dot))
  let kept = 0
  // an operand that does not change in the loop around its dot is staged once, if all dots can still run
  for (const dot of uses.dots) {
    for (const side of ['a', 'b'] as const) {
      const before = loopToPrecede(uses, dot, dot[side])
      if (!before) continue
      const candidate = layOut(inputs, dot, side, innerSize(dot), before)
      const others = plans.map((plan) => (plan.dot === dot ? { ...plan, [side]: candidate } : plan))
      const need = Math.max(...others.map(transientBytes))
      if (kept + operandBytes(candidate) + need > bytes) continue
      kept += operandBytes(candidate)
      plans = others
    }
  }
  return plans.map((plan) => largest(inputs, plan, bytes - kept))
}

/** The outermost loop around the dot in which the operand stays the same. */
function loopToPrecede(uses: NodeUses, dot: DotNode, operand: Node): LoopNode | null {
  return uses.loopsOf(dot)[uses.loopsOf(operand).length] ?? null
}

function stagedType({ halves, tuning }: DotPlanInputs, dot: DotNode, side: 'a' | 'b'): StagedType {
  const mode = tuning.stageHalves ?? 'none'
  if (!halves || mode === 'none') return 'f32'
  const other = dot[side === 'a' ? 'b' : 'a']
  const narrow = dot[side].dtype === 'f16' || (mode === 'both' && other.dtype === 'f16' && isFloat(dot[side].dtype))
  return narrow ? 'f16' : 'f32'
}

function layOut(inputs: DotPlanInputs, dot: DotNode, side: 'a' | 'b', length: number, before: LoopNode | null = null) {
  const source = inputs.isVirtual(dot[side]) ? 'virtual' : 'registers'
  return stagedOperand(dot, side, inputs.grid, source, stagedType(inputs, dot, side), length, before)
}

function planWith(inputs: DotPlanInputs, dot: DotNode, lengths: { a: number; b: number }): DotPlan {
  const [a, b] = [layOut(inputs, dot, 'a', lengths.a), layOut(inputs, dot, 'b', lengths.b)]
  return { dot, a, b, innerSize: innerSize(dot), slice: Math.min(lengths.a, lengths.b) }
}

/** Slices to try, longest first. */
function slicesOf(inputs: DotPlanInputs, dot: DotNode, grain: number): number[] {
  const size = innerSize(dot)
  const most = Math.min(inputs.tuning.slice ?? size, size)
  const slices = most >= size ? [size] : []
  let slice = grain
  const shorter: number[] = []
  for (; slice < size; slice *= 2) if (slice <= most && (slice >= 8 || grain >= 8)) shorter.push(slice)
  return [...slices, ...shorter.reverse()]
}

function variants(inputs: DotPlanInputs, dot: DotNode): DotPlan[] {
  const size = innerSize(dot)
  const whole = planWith(inputs, dot, { a: size, b: size })
  const [grainA, grainB] = [sliceGrain(whole.a, inputs.grid), sliceGrain(whole.b, inputs.grid)]
  const plans: DotPlan[] = []
  // register operands whole, the other side sliced by a loop; then both sliced, written out
  if (whole.a.source === 'virtual' && whole.b.source === 'virtual')
    for (const slice of slicesOf(inputs, dot, 4)) plans.push(planWith(inputs, dot, { a: slice, b: slice }))
  else {
    if (whole.b.source === 'virtual')
      for (const slice of slicesOf(inputs, dot, 4)) plans.push(planWith(inputs, dot, { a: size, b: slice }))
    else if (whole.a.source === 'virtual')
      for (const slice of slicesOf(inputs, dot, 4)) plans.push(planWith(inputs, dot, { a: slice, b: size }))
    else plans.push(whole)
    for (const slice of slicesOf(inputs, dot, Math.max(grainA, grainB)))
      plans.push(planWith(inputs, dot, { a: slice, b: slice }))
  }
  return plans.length ? plans : [whole]
}

function smallest(inputs: DotPlanInputs, dot: DotNode): DotPlan {
  return variants(inputs, dot).reduce((least, plan) => (transientBytes(plan) < transientBytes(least) ? plan : least))
}

/** The first variant that fits in `bytes` beside what `plan` keeps. */
function largest(inputs: DotPlanInputs, plan: DotPlan, bytes: number): DotPlan {
  for (const variant of variants(inputs, plan.dot)) {
    const candidate = withKept(variant, plan)
    if (transientBytes(candidate) <= bytes) return candidate
  }
  return plan
}

function withKept(variant: DotPlan, plan: DotPlan): DotPlan {
  const a = plan.a.before ? plan.a : variant.a
  const b = plan.b.before ? plan.b : variant.b
  const open = [a, b].filter((operand) => !operand.before)
  const slice = open.length ? Math.min(...open.map((operand) => operand.length)) : plan.innerSize
  return { ...variant, a, b, slice }
}
