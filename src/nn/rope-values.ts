import { checkFields, type FieldsOf, load, type Operand, type TensorParam, type Value } from '../tile/index.ts'
import type { RopeLayout } from './rope-tables.ts'

/** Two halves of the pairs that turn: elements i and i + pairs of a head, or 2i and 2i + 1 when interleaved. */
export interface RopePairs {
  readonly first: Value // [n, pairs]
  readonly second: Value // [n, pairs]
}

export interface RopeTurn {
  readonly cos: Value // [n, pairs]
  readonly sin: Value // [n, pairs]
}

/**
 * cos and sin of each position's angle at each pair, in a program: `table` is a parameter f32 [rows, 2 · pairs] bound to the
 * data of `ropeTables`, `positions` i32 [n, 1] (or a scalar), `pairs` the pair numbers i32 [1, c]. A position beyond the
 * tables gives 0 and 0.
 *
 *     cos(a + b) = cos a · cos b − sin a · sin b        sin(a + b) = sin a · cos b + cos a · sin b
 */
export function loadRope(table: TensorParam, layout: RopeLayout, positions: Value, pairs: Operand): RopeTurn {
  const shift = Math.log2(layout.step)
  const fine = positions.and(layout.step - 1)
  const coarse = positions.shr(shift).add(layout.step)
  const sines = typeof pairs === 'number' ? pairs + layout.pairs : pairs.add(layout.pairs)
  const [cosA, sinA] = [load(table, [coarse, pairs]), load(table, [coarse, sines])]
  const [cosB, sinB] = [load(table, [fine, pairs]), load(table, [fine, sines])]
  return {
    cos: cosA.mul(cosB).sub(sinA.mul(sinB)),
    sin: sinA.mul(cosB).add(cosA.mul(sinB)),
  }
}

/** The pairs turned: (first · cos − second · sin, second · cos + first · sin), in f32. */
export function rope(pairs: RopePairs, turn: RopeTurn): RopePairs {
  checkFields('rope', 'pairs', pairs, ropePairsFields)
  const { first, second } = pairs
  checkFields('rope', 'turn', turn, ropeTurnFields)
  const { cos, sin } = turn
  return {
    first: first.mul(cos).sub(second.mul(sin)),
    second: second.mul(cos).add(first.mul(sin)),
  }
}

/** Where the pairs of a head lie: its columns (i32) of the first and of the second elements of pairs `pairs` (i32 [1, c]). */
export function ropeColumns(
  layout: RopeLayout,
  interleaved: boolean,
  pairs: Value,
): { readonly first: Value; readonly second: Value } {
  if (!interleaved) return { first: pairs, second: pairs.add(layout.pairs) }
  const first = pairs.mul(2)
  return { first, second: first.add(1) }
}

const ropePairsFields: FieldsOf<RopePairs> = { first: true, second: true }

const ropeTurnFields: FieldsOf<RopeTurn> = { cos: true, sin: true }
