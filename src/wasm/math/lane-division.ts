import { type Instruction, i32, onLane, op, select } from '../assembler/instruction.ts'
import type { VectorMath } from './vector-math.ts'

export type IntegerQuotient = 'div' | 'mod'

/** Integer quotient or remainder lane by lane; 0 for a zero divisor. */
export function divideLanes(
  m: VectorMath,
  fn: IntegerQuotient,
  unsigned: boolean,
  a: Instruction,
  b: Instruction,
  shareScalar: (value: Instruction) => () => Instruction,
): Instruction {
  const [left, right] = [m.share(a), m.share(b)]
  let result = m.integer(0)
  for (let lane = 0; lane < 4; lane++) {
    const x = shareScalar(onLane('i32x4.extract_lane', lane, [left()]))
    const y = shareScalar(onLane('i32x4.extract_lane', lane, [right()]))
    result = onLane('i32x4.replace_lane', lane, [result, divideScalar(fn, unsigned, x, y)])
  }
  return result
}

/** Integer quotient (truncated) or remainder (dividend's sign) without a trap: 0 for a zero divisor, wrap-around for −2³¹ / −1. */
export function divideScalar(
  fn: IntegerQuotient,
  unsigned: boolean,
  x: () => Instruction,
  y: () => Instruction,
): Instruction {
  const zero = () => op('i32.eqz', y())
  if (fn === 'mod') {
    const rest = op(unsigned ? 'i32.rem_u' : 'i32.rem_s', x(), select(i32(1), y(), zero()))
    return select(i32(0), rest, zero())
  }
  if (unsigned) return select(i32(0), op('i32.div_u', x(), select(i32(1), y(), zero())), zero())
  // −1 is answered by a negation: dividing the smallest integer by it traps
  const minusOne = () => op('i32.eq', y(), i32(-1))
  const quotient = op('i32.div_s', x(), select(i32(1), y(), op('i32.or', zero(), minusOne())))
  return select(i32(0), select(op('i32.sub', i32(0), x()), quotient, minusOne()), zero())
}
