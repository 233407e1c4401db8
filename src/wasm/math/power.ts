import { type Instruction, op } from '../assembler/instruction.ts'
import { exp2 } from './exponential.ts'
import { log2 } from './logarithm.ts'
import type { VectorMath } from './vector-math.ts'

/** aᵇ = 2^(b · log₂|a|), with the sign of a for odd integers b; a negative a with a fractional b gives NaN, b = 0 gives 1. */
export function power(m: VectorMath, base: Instruction, exponent: Instruction): Instruction {
  const a = m.share(base)
  const b = m.share(exponent)
  const size = m.share(exp2(m, op('f32x4.mul', b(), log2(m, op('f32x4.abs', a())))))
  const half = op('f32x4.mul', b(), m.constant(0.5))
  const odd = op('f32x4.ne', op('f32x4.floor', half), half)
  const negative = op('v128.and', a(), m.integer(-0x80000000))
  const whole = m.share(op('f32x4.eq', op('f32x4.floor', b()), b()))
  const signed = op('v128.xor', size(), op('v128.and', negative, op('v128.and', odd, whole())))
  const invalid = op('v128.andnot', op('f32x4.lt', a(), m.constant(0)), whole())
  const result = op('v128.bitselect', m.integer(0x7fc00000), signed, invalid)
  return op('v128.bitselect', m.constant(1), result, op('f32x4.eq', b(), m.constant(0)))
}
