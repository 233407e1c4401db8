import { type Instruction, i32, op } from '../assembler/instruction.ts'
import { polynomial, type VectorMath } from './vector-math.ts'

// ln(1 + f) = f − f²/2 + f³ · P(f) on [√½ − 1, √2 − 1] (Cephes logf)
const coefficients = [
  3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1, -1.2420140846e-1,
  1.167699874e-1, -1.151461031e-1, 7.0376836292e-2,
]

/** ln x to about 1 ulp: −∞ at 0, NaN below, ∞ at ∞. */
export function log(m: VectorMath, value: Instruction): Instruction {
  const { x, f, exponent, correction } = split(m, value)
  const small = m.multiplyAdd(exponent(), m.constant(-2.121944400546906e-4), correction())
  const result = m.multiplyAdd(exponent(), m.constant(0.693359375), op('f32x4.add', f(), small))
  return special(m, x, result)
}

/** log₂ x to about 1 ulp. */
export function log2(m: VectorMath, value: Instruction): Instruction {
  const { x, f, exponent, correction } = split(m, value)
  // log₂ e = 1 + 0.4427…: the leading parts are added last
  const rest = m.constant(Math.LOG2E - 1)
  const small = m.multiplyAdd(f(), rest, op('f32x4.mul', correction(), rest))
  const result = op('f32x4.add', exponent(), op('f32x4.add', f(), op('f32x4.add', correction(), small)))
  return special(m, x, result)
}

/** x = 2^exponent · (1 + f); correction = ln(1 + f) − f. */
function split(m: VectorMath, value: Instruction) {
  const x = m.share(value)
  // subnormal numbers are scaled up by 2²³ first
  const tiny = m.share(op('f32x4.lt', x(), m.constant(1.17549435e-38)))
  const bits = m.share(op('v128.bitselect', op('f32x4.mul', x(), m.constant(8388608)), x(), tiny()))
  // bits of √½: from there to √2 the mantissa counts from 2⁰
  const above = m.share(op('i32x4.sub', bits(), m.integer(0x3f3504f3)))
  const power = op('i32x4.shr_s', above(), i32(23))
  const adjusted = op('i32x4.sub', power, op('v128.and', tiny(), m.integer(23)))
  const exponent = m.share(op('f32x4.convert_i32x4_s', adjusted))
  const mantissa = op('i32x4.add', op('v128.and', above(), m.integer(0x007fffff)), m.integer(0x3f3504f3))
  const f = m.share(op('f32x4.sub', mantissa, m.constant(1)))
  const square = m.share(op('f32x4.mul', f(), f()))
  const cubic = op('f32x4.mul', op('f32x4.mul', square(), f()), polynomial(m, f, coefficients))
  const correction = m.share(m.multiplyAdd(square(), m.constant(-0.5), cubic))
  return { x, f, exponent, correction }
}

function special(m: VectorMath, x: () => Instruction, result: Instruction): Instruction {
  const infinity = () => m.constant(Number.POSITIVE_INFINITY)
  const positive = op('v128.bitselect', x(), result, op('v128.not', op('f32x4.lt', x(), infinity())))
  const zeroToo = op('v128.bitselect', op('f32x4.neg', infinity()), positive, op('f32x4.eq', x(), m.constant(0)))
  return op('v128.bitselect', m.integer(0x7fc00000), zeroToo, op('f32x4.lt', x(), m.constant(0)))
}
