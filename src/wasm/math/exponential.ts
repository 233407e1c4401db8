import { type Instruction, i32, op } from '../assembler/instruction.ts'
import { polynomial, type VectorMath } from './vector-math.ts'

// adding and subtracting 1.5·2²³ rounds to the nearest integer and leaves that integer in the low mantissa bits
const rounder = 12582912

// minimax for the relative error, constant term 1: 9e-8 on [−1/2, 1/2]
const exp2Coefficients = [
  1, 0.6931469775984123, 0.2402224208415379, 0.05550733743814417, 0.009671512719488991, 0.0013264727266812165,
]
// 2e-9 on [−ln 2 / 2, ln 2 / 2]
const expCoefficients = [
  1, 1.000000032183849, 0.4999999420556031, 0.16666431169717022, 0.041668002573974176, 0.00837416341663381,
  0.0013843644255078474,
]

/**
 * 2ˣ to about 2 ulp. Exactly 0 below −127 and exactly ∞ from 128: there the clamped x is an integer, the polynomial is 1, and
 * adding x to its exponent gives those bit patterns. NaN stays NaN.
 */
export function exp2(m: VectorMath, value: Instruction): Instruction {
  const x = m.share(op('f32x4.pmin', op('f32x4.pmax', value, m.constant(-127)), m.constant(128)))
  const shifted = m.share(op('f32x4.add', x(), m.constant(rounder)))
  const rest = m.share(op('f32x4.sub', x(), op('f32x4.sub', shifted(), m.constant(rounder))))
  return scaleByPower(polynomial(m, rest, exp2Coefficients), shifted())
}

/** eˣ to about 2 ulp; 0 where the result would be below 2⁻¹²⁶, ∞ above the largest float, NaN stays NaN. */
export function exp(m: VectorMath, value: Instruction): Instruction {
  const x = m.share(value)
  const shifted = m.share(m.multiplyAdd(x(), m.constant(Math.LOG2E), m.constant(rounder)))
  const n = m.share(op('f32x4.sub', shifted(), m.constant(rounder)))
  // ln 2 in two parts, the first short enough that n · part is exact
  const partial = m.multiplyAdd(n(), m.constant(-0.693359375), x())
  const rest = m.share(m.multiplyAdd(n(), m.constant(2.121944400546906e-4), partial))
  const scaled = scaleByPower(polynomial(m, rest, expCoefficients), shifted())
  const finite = op('v128.andnot', scaled, op('f32x4.lt', x(), m.constant(-87.33654475)))
  return op(
    'v128.bitselect',
    m.constant(Number.POSITIVE_INFINITY),
    finite,
    op('f32x4.gt', x(), m.constant(88.72283905)),
  )
}

/** mantissa · 2ⁿ, n in the low bits of `shifted`. */
function scaleByPower(mantissa: Instruction, shifted: Instruction): Instruction {
  return op('i32x4.add', mantissa, op('i32x4.shl', shifted, i32(23)))
}
