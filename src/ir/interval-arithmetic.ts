import { type DType, isFloat } from './dtype.ts'
import {
  approximation,
  type Interval,
  known,
  overflow,
  rounding,
  setBool,
  setFloat,
  setInteger,
  tiny,
  unknownInterval,
} from './interval-bounds.ts'
import type { ArithmeticFn, BinaryFn, CompareFn, UnaryFn } from './node.ts'
import { binaryMath, unaryMath } from './scalar-math.ts'

export type UnaryRule = (aLo: number, aHi: number, out: Interval) => void
export type BinaryRule = (aLo: number, aHi: number, bLo: number, bHi: number, out: Interval) => void

/** How a unary function maps intervals of its operand's dtype. */
export function unaryRule(fn: UnaryFn, dtype: DType): UnaryRule {
  if (dtype === 'bool')
    return (lo, hi, out) => {
      out.lo = 1 - hi
      out.hi = 1 - lo
    }
  const float = isFloat(dtype)
  const guarded =
    (rule: UnaryRule): UnaryRule =>
    (lo, hi, out) => {
      if (float && !known(lo, hi)) unknownInterval('f32', out)
      else rule(lo, hi, out)
    }
  const set = (lo: number, hi: number, out: Interval) =>
    float ? setFloat(lo, hi, 0, 0, out) : setInteger(dtype, lo, hi, out)
  switch (fn) {
    case 'neg':
      return guarded((lo, hi, out) => set(-hi, -lo, out))
    case 'abs':
      return guarded((lo, hi, out) => set(lo > 0 ? lo : hi < 0 ? -hi : 0, Math.max(Math.abs(lo), Math.abs(hi)), out))
    case 'not':
      return (lo, hi, out) =>
        dtype === 'u32'
          ? setInteger(dtype, 4294967295 - hi, 4294967295 - lo, out)
          : setInteger(dtype, -1 - hi, -1 - lo, out)
    case 'sign':
    case 'floor':
    case 'ceil':
    case 'round':
      return guarded((lo, hi, out) => set(unaryMath[fn](lo), unaryMath[fn](hi), out))
    case 'exp':
    case 'exp2':
    case 'tanh':
    case 'sigmoid':
    case 'erf':
      return increasing(fn, Number.NEGATIVE_INFINITY)
    case 'sqrt':
    case 'log':
    case 'log2':
      return increasing(fn, tiny)
    case 'fromBits':
      return (_lo, _hi, out) => unknownInterval('f32', out)
    case 'rsqrt':
      return (lo, hi, out) => {
        if (lo > tiny && known(lo, hi)) setFloat(1 / Math.sqrt(hi), 1 / Math.sqrt(lo), approximation, 0, out)
        else unknownInterval('f32', out)
      }
    case 'reciprocal':
      return (lo, hi, out) => {
        if (known(lo, hi) && (lo > tiny || hi < -tiny)) setFloat(1 / hi, 1 / lo, approximation, tiny, out)
        else unknownInterval('f32', out)
      }
    case 'sin':
    case 'cos':
      // WGSL promises nothing far from 0
      return (lo, hi, out) => {
        if (known(lo, hi) && lo > -3 && hi < 3) setFloat(-1, 1, approximation, 0, out)
        else unknownInterval('f32', out)
      }
    default:
      return fn satisfies never
  }
}

function increasing(
  fn: 'exp' | 'exp2' | 'tanh' | 'sigmoid' | 'erf' | 'sqrt' | 'log' | 'log2',
  above: number,
): UnaryRule {
  const f = unaryMath[fn]
  return (lo, hi, out) => {
    if (lo > above && known(lo, hi)) setFloat(f(lo), f(hi), approximation, approximation, out)
    else unknownInterval('f32', out)
  }
}

const comparisons: Readonly<Record<CompareFn, BinaryRule>> = {
  lt: (aLo, aHi, bLo, bHi, out) => setBool(aHi < bLo, aLo >= bHi, out),
  le: (aLo, aHi, bLo, bHi, out) => setBool(aHi <= bLo, aLo > bHi, out),
  gt: (aLo, aHi, bLo, bHi, out) => setBool(aLo > bHi, aHi <= bLo, out),
  ge: (aLo, aHi, bLo, bHi, out) => setBool(aLo >= bHi, aHi < bLo, out),
  eq: (aLo, aHi, bLo, bHi, out) => setBool(aLo === aHi && bLo === bHi && aLo === bLo, aHi < bLo || aLo > bHi, out),
  ne: (aLo, aHi, bLo, bHi, out) => setBool(aHi < bLo || aLo > bHi, aLo === aHi && bLo === bHi && aLo === bLo, out),
}

/** How a binary function maps intervals of its operands' common dtype. */
export function binaryRule(fn: BinaryFn, dtype: DType): BinaryRule {
  const rule = dtype === 'bool' ? boolRule(fn) : fn in comparisons ? comparisons[fn as CompareFn] : null
  if (rule && !isFloat(dtype)) return rule
  const float = rule ?? (isFloat(dtype) ? floatRule(fn as ArithmeticFn) : integerRule(fn as ArithmeticFn, dtype))
  if (!isFloat(dtype)) return float
  const result: DType = rule ? 'bool' : 'f32'
  return (aLo, aHi, bLo, bHi, out) => {
    if (known(aLo, aHi) && known(bLo, bHi)) float(aLo, aHi, bLo, bHi, out)
    else unknownInterval(result, out)
  }
}

function boolRule(fn: BinaryFn): BinaryRule {
  const f = binaryMath(fn, 'i32')
  return (aLo, aHi, bLo, bHi, out) => {
    out.lo = 1
    out.hi = 0
    for (let a = aLo; a <= aHi; a++)
      for (let b = bLo; b <= bHi; b++) {
        const value = f(a, b)
        if (value) out.hi = 1
        else out.lo = 0
      }
  }
}

function floatRule(fn: ArithmeticFn): BinaryRule {
  switch (fn) {
    case 'add':
      return (aLo, aHi, bLo, bHi, out) => setFloat(aLo + bLo, aHi + bHi, rounding, tiny, out)
    case 'sub':
      return (aLo, aHi, bLo, bHi, out) => setFloat(aLo - bHi, aHi - bLo, rounding, tiny, out)
    case 'mul':
      return corners((a, b) => a * b, rounding)
    case 'div':
      return nonZero(corners((a, b) => a / b, rounding))
    case 'mod':
      // x − y·trunc(x/y) with an inexact quotient may fall on either side of 0
      return nonZero((_aLo, _aHi, bLo, bHi, out) => {
        const bound = Math.max(Math.abs(bLo), Math.abs(bHi))
        setFloat(-bound, bound, 1, tiny, out)
      })
    case 'min':
      return (aLo, aHi, bLo, bHi, out) => setFloat(Math.min(aLo, bLo), Math.min(aHi, bHi), 0, 0, out)
    case 'max':
      return (aLo, aHi, bLo, bHi, out) => setFloat(Math.max(aLo, bLo), Math.max(aHi, bHi), 0, 0, out)
    case 'pow': {
      const positive = corners((a, b) => a ** b, 2 ** -6)
      return (aLo, aHi, bLo, bHi, out) => (aLo > tiny ? positive(aLo, aHi, bLo, bHi, out) : unknownInterval('f32', out))
    }
    default:
      return (_aLo, _aHi, _bLo, _bHi, out) => unknownInterval('f32', out)
  }
}

/** A function monotone in each operand: its extremes lie at the corners. */
function corners(f: (a: number, b: number) => number, relative: number): BinaryRule {
  return (aLo, aHi, bLo, bHi, out) => {
    const [w, x, y, z] = [f(aLo, bLo), f(aLo, bHi), f(aHi, bLo), f(aHi, bHi)]
    setFloat(Math.min(w, x, y, z), Math.max(w, x, y, z), relative, tiny, out)
  }
}

function nonZero(rule: BinaryRule): BinaryRule {
  return (aLo, aHi, bLo, bHi, out) =>
    bLo > tiny || bHi < -tiny ? rule(aLo, aHi, bLo, bHi, out) : unknownInterval('f32', out)
}

function integerRule(fn: ArithmeticFn, dtype: DType): BinaryRule {
  const set = (lo: number, hi: number, out: Interval) => setInteger(dtype, lo, hi, out)
  switch (fn) {
    case 'add':
      return (aLo, aHi, bLo, bHi, out) => set(aLo + bLo, aHi + bHi, out)
    case 'sub':
      return (aLo, aHi, bLo, bHi, out) => set(aLo - bHi, aHi - bLo, out)
    case 'mul':
      return (aLo, aHi, bLo, bHi, out) => {
        const [w, x, y, z] = [aLo * bLo, aLo * bHi, aHi * bLo, aHi * bHi]
        set(Math.min(w, x, y, z), Math.max(w, x, y, z), out)
      }
    case 'div':
      return (aLo, aHi, bLo, bHi, out) => {
        if (bLo <= 0 && bHi >= 0) {
          // ±1 and 0 are the extreme divisors: a zero divisor gives 0
          const bound = Math.max(Math.abs(aLo), Math.abs(aHi))
          set(dtype === 'u32' ? 0 : -bound, bound, out)
          return
        }
        const [w, x] = [Math.trunc(aLo / bLo), Math.trunc(aLo / bHi)]
        const [y, z] = [Math.trunc(aHi / bLo), Math.trunc(aHi / bHi)]
        set(Math.min(w, x, y, z), Math.max(w, x, y, z), out)
      }
    case 'mod':
      return (aLo, aHi, bLo, bHi, out) => {
        // both ends in one period of a constant divisor
        if (bLo === bHi && bLo > 0 && aLo >= 0 && Math.floor(aLo / bLo) === Math.floor(aHi / bLo)) {
          set(aLo % bLo, aHi % bLo, out)
          return
        }
        const bound = Math.max(Math.abs(bLo), Math.abs(bHi)) - 1
        set(aLo < 0 ? Math.min(0, Math.max(-bound, aLo)) : 0, aHi > 0 ? Math.max(0, Math.min(bound, aHi)) : 0, out)
      }
    case 'min':
      return (aLo, aHi, bLo, bHi, out) => set(Math.min(aLo, bLo), Math.min(aHi, bHi), out)
    case 'max':
      return (aLo, aHi, bLo, bHi, out) => set(Math.max(aLo, bLo), Math.max(aHi, bHi), out)
    case 'shl':
      return (aLo, aHi, bLo, bHi, out) =>
        bLo === bHi && bLo >= 0 && bLo < 32 ? set(aLo * 2 ** bLo, aHi * 2 ** bLo, out) : unknownInterval(dtype, out)
    case 'shr':
      return (aLo, aHi, bLo, bHi, out) =>
        bLo === bHi && bLo >= 0 && bLo < 32
          ? set(Math.floor(aLo / 2 ** bLo), Math.floor(aHi / 2 ** bLo), out)
          : unknownInterval(dtype, out)
    case 'and':
    case 'or':
    case 'xor':
      return bitwise(fn, dtype)
    default:
      return (_aLo, _aHi, _bLo, _bHi, out) => unknownInterval(dtype, out)
  }
}

function bitwise(fn: 'and' | 'or' | 'xor', dtype: DType): BinaryRule {
  const f = binaryMath(fn, dtype)
  return (aLo, aHi, bLo, bHi, out) => {
    if (aLo === aHi && bLo === bHi) {
      out.lo = out.hi = f(aLo, bLo)
    } else if (aLo < 0 || bLo < 0) {
      unknownInterval(dtype, out)
    } else {
      // no result has a bit above the highest of the operands
      const bits = 2 ** Math.ceil(Math.log2(Math.max(aHi, bHi) + 1)) - 1
      out.lo = fn === 'or' ? Math.max(aLo, bLo) : 0
      out.hi = fn === 'and' ? Math.min(aHi, bHi) : bits
    }
  }
}

/** How a conversion maps intervals. */
export function castRule(from: DType, to: DType): UnaryRule {
  if (to === 'bool')
    return (lo, hi, out) =>
      isFloat(from) && !known(lo, hi)
        ? unknownInterval('bool', out)
        : setBool(lo > 0 || hi < 0, lo === 0 && hi === 0, out)
  if (isFloat(to)) {
    const relative = to === 'f16' ? 2 ** -10 : to === 'bf16' ? 2 ** -7 : isFloat(from) ? 0 : 2 ** -24
    const absolute = to === 'f16' ? 2 ** -24 : to === 'bf16' ? tiny : 0
    const largest = to === 'f16' ? 65000 : overflow
    return (lo, hi, out) => {
      if (lo > -largest && hi < largest) {
        // integers up to 2²⁴ are exact in f32
        const exact = to === 'f32' && (isFloat(from) || (lo >= -16777216 && hi <= 16777216))
        setFloat(lo, hi, exact ? 0 : relative, exact ? 0 : absolute, out)
      } else unknownInterval('f32', out)
    }
  }
  if (isFloat(from))
    return (lo, hi, out) => {
      if (known(lo, hi)) setInteger(to, Math.trunc(lo), Math.trunc(hi), out)
      else unknownInterval(to, out)
    }
  return (lo, hi, out) => setInteger(to, lo, hi, out)
}
