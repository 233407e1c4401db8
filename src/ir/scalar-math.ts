import { type DType, isFloat } from './dtype.ts'
import type { BinaryFn, UnaryFn } from './node.ts'

/** erf by its Maclaurin series below 3 and the continued fraction of erfc above: about 1e-15 relative. */
function erf(x: number): number {
  const z = Math.abs(x)
  if (Number.isNaN(x)) return x
  if (z > 6) return Math.sign(x)
  if (z < 3) {
    let [term, sum] = [z, z]
    for (let n = 1; n < 100 && Math.abs(term) > 1e-18; n++) {
      term *= (-z * z) / n
      sum += term / (2 * n + 1)
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
  }
  let fraction = 0
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (z + fraction)
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (z + fraction)))
}

/** round half to even, as WGSL and WebAssembly do */
function roundHalfEven(x: number): number {
  const r = Math.round(x)
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r
}

/** What each unary function means, in float64; `not` is on 0 and 1. */
export const unaryMath: Readonly<Record<UnaryFn, (x: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  not: (x) => (x ? 0 : 1),
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  log: Math.log,
  log2: Math.log2,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  erf,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  sign: Math.sign,
  fromBits: (x) => new Float32Array(Int32Array.of(x).buffer)[0] as number,
}

const compare: Readonly<Record<'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge', (a: number, b: number) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
}

/** What a binary function means for operands of this dtype: floats in float64, integers with wrap-around. */
export function binaryMath(fn: BinaryFn, dtype: DType): (a: number, b: number) => number {
  const wrap = dtype === 'u32' ? (x: number) => x >>> 0 : dtype === 'i32' ? (x: number) => x | 0 : (x: number) => x
  const float = isFloat(dtype)
  switch (fn) {
    case 'add':
      return (a, b) => wrap(a + b)
    case 'sub':
      return (a, b) => wrap(a - b)
    case 'mul':
      return float ? (a, b) => a * b : (a, b) => wrap(Math.imul(a, b))
    case 'div':
      return float ? (a, b) => a / b : (a, b) => (b === 0 ? 0 : wrap(Math.trunc(a / b)))
    case 'mod':
      return float ? (a, b) => a % b : (a, b) => (b === 0 ? 0 : wrap(a % b))
    case 'min':
      return Math.min
    case 'max':
      return Math.max
    case 'pow':
      return (a, b) => a ** b
    case 'and':
      return (a, b) => wrap(a & b)
    case 'or':
      return (a, b) => wrap(a | b)
    case 'xor':
      return (a, b) => wrap(a ^ b)
    case 'shl':
      return (a, b) => wrap(a << b)
    case 'shr':
      return dtype === 'u32' ? (a, b) => a >>> b : (a, b) => a >> b
    default: {
      const holds = compare[fn]
      return (a, b) => (holds(a, b) ? 1 : 0)
    }
  }
}

/** Conversion between dtypes of values; narrow floats are rounded by `roundTo` of narrow-float.ts where it matters. */
export function convert(value: number, to: DType): number {
  if (to === 'bool') return value ? 1 : 0
  if (isFloat(to)) return value
  if (Number.isNaN(value)) return 0
  return to === 'i32'
    ? Math.min(Math.max(Math.trunc(value), -2147483648), 2147483647)
    : Math.min(Math.max(Math.trunc(value), 0), 4294967295)
}
