import { type Instruction, i32, op } from '../assembler/instruction.ts'
import type { VectorMath } from './vector-math.ts'

/** f32 lanes of four f16 numbers in the low halves of i32 lanes (upper halves 0). */
export function widenHalf(m: VectorMath, value: Instruction): Instruction {
  const bits = m.share(value)
  const magnitude = m.share(op('v128.and', bits(), m.integer(0x7fff)))
  // the exponent is rebiased by a multiplication, which brings subnormal numbers along
  const scaled = op('f32x4.mul', op('i32x4.shl', magnitude(), i32(13)), m.constant(2 ** 112))
  const special = op('v128.and', op('i32x4.gt_s', magnitude(), m.integer(0x7bff)), m.integer(0x7f800000))
  const sign = op('i32x4.shl', op('v128.and', bits(), m.integer(0x8000)), i32(16))
  return op('v128.or', op('v128.or', scaled, special), sign)
}

/** f32 lanes of four bf16 numbers in the low halves of i32 lanes. */
export function widenBfloat(value: Instruction): Instruction {
  return op('i32x4.shl', value, i32(16))
}

/** The bits of the nearest f16 (ties to even) in i32 lanes; overflow gives ∞, NaN a quiet NaN. */
export function narrowToHalf(m: VectorMath, value: Instruction): Instruction {
  const x = m.share(value)
  const size = m.share(op('f32x4.abs', x()))
  // below 2⁻¹⁴, adding ½ rounds to a multiple of 2⁻²⁴, the unit of f16's subnormal numbers
  const tiny = op('i32x4.sub', op('f32x4.add', size(), m.constant(0.5)), m.integer(0x3f000000))
  const even = op('v128.and', op('i32x4.shr_u', size(), i32(13)), m.integer(1))
  const rounded = op('i32x4.add', op('i32x4.add', size(), m.integer(0xfff - (112 << 23))), even)
  const normal = op('i32x4.shr_u', rounded, i32(13))
  const finite = op('v128.bitselect', tiny, normal, op('f32x4.lt', size(), m.constant(2 ** -14)))
  const large = op('v128.bitselect', m.integer(0x7c00), finite, op('f32x4.ge', size(), m.constant(65520)))
  const magnitude = op('v128.bitselect', m.integer(0x7e00), large, op('f32x4.ne', x(), x()))
  return op('v128.or', magnitude, op('v128.and', op('i32x4.shr_u', x(), i32(16)), m.integer(0x8000)))
}

/** The bits of the nearest bf16 (ties to even) in i32 lanes. */
export function narrowToBfloat(m: VectorMath, value: Instruction): Instruction {
  const x = m.share(value)
  const even = op('v128.and', op('i32x4.shr_u', x(), i32(16)), m.integer(1))
  const rounded = op('i32x4.shr_u', op('i32x4.add', op('i32x4.add', x(), m.integer(0x7fff)), even), i32(16))
  return op('v128.bitselect', m.integer(0x7fc0), rounded, op('f32x4.ne', x(), x()))
}
