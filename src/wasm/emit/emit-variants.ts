import type { Node } from '../../ir/node.ts'
import { op } from '../assembler/instruction.ts'
import { insideTest, isContiguous } from './emit-access.ts'
import { scalarValue } from './emit-scalar.ts'
import type { EmitScope } from './emit-scope.ts'
import { PassFrame } from './pass-frame.ts'
import type { Reach } from './pass-reach.ts'

/** Uniform selects get code for each side, for up to this many conditions; the rest choose lane by lane. */
const maxDecisions = 3

/**
 * Code that walks `shape`, in variants: a select with a scalar condition is decided before it, so that only the chosen side
 * is computed; likewise whether its loads need bounds checks in the last dimension. `reachOf` says what the code computes
 * under some decisions, `emit` writes one variant.
 */
export function emitVariants(
  scope: EmitScope,
  shape: { readonly rows: number; readonly cols: number },
  reachOf: (decisions: ReadonlyMap<Node, boolean>) => Reach,
  emit: (frame: PassFrame, inside: boolean, weight: number) => void,
  decisions: ReadonlyMap<Node, boolean> = new Map(),
): void {
  const { f } = scope
  const reach = reachOf(decisions)
  const undecided = reach.conditions.find((condition) => !decisions.has(condition))
  if (undecided && decisions.size < maxDecisions) {
    const decide = (value: boolean) => () =>
      emitVariants(scope, shape, reachOf, emit, new Map([...decisions, [undecided, value]]))
    f.when(scalarValue(scope, undecided), decide(true), decide(false))
    return
  }
  const probe = new PassFrame(scope, shape.rows, shape.cols, decisions)
  const tests = reach.accesses
    .filter((access) => isContiguous(access, probe.laneAxis))
    .map((access) => insideTest(probe, access))
    .filter((test) => test !== null)
  const variant = (inside: boolean) =>
    f.scoped(() => emit(new PassFrame(scope, shape.rows, shape.cols, decisions), inside, reach.weight))
  if (tests.length === 0) variant(true)
  else
    f.when(
      tests.reduce((all, test) => op('i32.and', all, test)),
      () => variant(true),
      () => variant(false),
    )
}
