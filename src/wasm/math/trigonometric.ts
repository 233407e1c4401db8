import { f64x2, type Instruction, i32, op, shuffle32 } from '../assembler/instruction.ts'
import { polynomial, type VectorMath } from './vector-math.ts'

/** sin x to about 1 ulp up to |x| = 2²⁷ radians; NaN at ±∞. */
export function sin(m: VectorMath, value: Instruction): Instruction {
  return circular(m, value, 0)
}

/** cos x, as sin. */
export function cos(m: VectorMath, value: Instruction): Instruction {
  return circular(m, value, 1)
}

/** sin(x + quarters · π/2): x is reduced to [−π/4, π/4] in float64, so that a result near 0 keeps its digits. */
function circular(m: VectorMath, value: Instruction, quarters: 0 | 1): Instruction {
  const x = m.share(value)
  const low = reduce(m, x())
  const high = reduce(m, shuffle32(x(), x(), [2, 3, 2, 3]))
  const r = m.share(shuffle32(low.rest, high.rest, [0, 1, 4, 5]))
  const counted = shuffle32(low.quarters, high.quarters, [0, 1, 4, 5])
  const quadrant = m.share(op('i32x4.add', counted, m.integer(quarters)))
  const square = m.share(op('f32x4.mul', r(), r()))
  const sine = m.multiplyAdd(
    op('f32x4.mul', square(), r()),
    polynomial(m, square, [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4]),
    r(),
  )
  const tail = op(
    'f32x4.mul',
    square(),
    polynomial(m, square, [4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5]),
  )
  const cosine = op(
    'f32x4.add',
    m.multiplyAdd(square(), m.constant(-0.5), m.constant(1)),
    op('f32x4.mul', square(), tail),
  )
  const odd = op('i32x4.ne', op('v128.and', quadrant(), m.integer(1)), m.integer(0))
  const sign = op('i32x4.shl', op('v128.and', quadrant(), m.integer(2)), i32(30))
  return op('v128.xor', op('v128.bitselect', cosine, sine, odd), sign)
}

function reduce(m: VectorMath, lanes: Instruction): { rest: Instruction; quarters: Instruction } {
  const x = m.share(op('f64x2.promote_low_f32x4', lanes))
  const n = m.share(op('f64x2.nearest', op('f64x2.mul', x(), f64x2(2 / Math.PI))))
  // π/2 in two parts, the first of 25 bits: n times it is exact
  const partial = op('f64x2.sub', x(), op('f64x2.mul', n(), f64x2(1.5707963109016418)))
  const rest = op('f64x2.sub', partial, op('f64x2.mul', n(), f64x2(1.58932547735282e-8)))
  return { rest: op('f32x4.demote_f64x2_zero', rest), quarters: op('i32x4.trunc_sat_f64x2_s_zero', n()) }
}
