import { type Instruction, op } from '../assembler/instruction.ts'
import { exp } from './exponential.ts'
import { polynomial, type VectorMath } from './vector-math.ts'

/** 1 / (1 + e⁻ˣ). */
export function sigmoid(m: VectorMath, value: Instruction): Instruction {
  const power = exp(m, op('f32x4.neg', value))
  return op('f32x4.div', m.constant(1), op('f32x4.add', power, m.constant(1)))
}

/** tanh x: a polynomial below 0.625 (Cephes tanhf), 1 − 2 / (e²ˣ + 1) above. */
export function tanh(m: VectorMath, value: Instruction): Instruction {
  const x = m.share(value)
  const size = m.share(op('f32x4.abs', x()))
  const square = m.share(op('f32x4.mul', x(), x()))
  const series = polynomial(
    m,
    square,
    [-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3],
  )
  const small = m.share(m.multiplyAdd(op('f32x4.mul', square(), x()), series, x()))
  const power = exp(m, op('f32x4.add', size(), size()))
  const large = op('f32x4.sub', m.constant(1), op('f32x4.div', m.constant(2), op('f32x4.add', power, m.constant(1))))
  return op('v128.bitselect', copySign(m, large, x()), small(), op('f32x4.gt', size(), m.constant(0.625)))
}

/** erf x to about 1 ulp: a polynomial below 0.9277, 1 − e^(polynomial) above (coefficients by N. Juffa). */
export function erf(m: VectorMath, value: Instruction): Instruction {
  const x = m.share(value)
  const size = m.share(op('f32x4.abs', x()))
  const square = m.share(op('f32x4.mul', x(), x()))
  const series = polynomial(
    m,
    square,
    [1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4],
  )
  const small = m.share(m.multiplyAdd(series, x(), x()))
  const exponent = polynomial(
    m,
    size,
    [-1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3, 3.83197126e-4, -1.7285347e-5],
  )
  const power = exp(m, m.multiplyAdd(exponent, size(), op('f32x4.neg', size())))
  const large = op('f32x4.sub', m.constant(1), power)
  // from 4 on the result is 1, and the exponent's polynomial grows again
  const bounded = op('v128.bitselect', m.constant(1), large, op('f32x4.gt', size(), m.constant(4)))
  return op('v128.bitselect', copySign(m, bounded, x()), small(), op('f32x4.gt', size(), m.constant(0.927734375)))
}

function copySign(m: VectorMath, magnitude: Instruction, sign: Instruction): Instruction {
  return op('v128.or', magnitude, op('v128.and', sign, m.integer(-0x80000000)))
}
