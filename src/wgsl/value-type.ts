import type { DType } from '../ir/index.ts'

/** Elements held side by side in one WGSL value: chunks of four columns, or one. */
export type Width = 1 | 4

/** The WGSL type of one element; narrow floats are computed in f32. */
export function elementType(dtype: DType): 'f32' | 'i32' | 'u32' | 'bool' {
  return dtype === 'f16' || dtype === 'bf16' ? 'f32' : dtype
}

export function valueType(dtype: DType, width: Width): string {
  return width === 4 ? `vec4<${elementType(dtype)}>` : elementType(dtype)
}

/** An expression of one width as another: a scalar is repeated. */
export function widen(expression: string, dtype: DType, from: Width, to: Width): string {
  return from === to ? expression : `${valueType(dtype, to)}(${expression})`
}

const lanes = ['x', 'y', 'z', 'w'] as const

/** Component `at` of a chunk. */
export function component(expression: string, at: number, width: Width = 4): string {
  return width === 1 ? expression : `${expression}.${lanes[at]}`
}

/** A literal of any dtype. Infinities and NaN are names that the prologue reads from the arguments (`neg_inf` …). */
export function literal(value: number, dtype: DType): string {
  switch (elementType(dtype)) {
    case 'bool':
      return value ? 'true' : 'false'
    case 'u32':
      return `${value >>> 0}u`
    case 'i32': {
      const whole = Math.trunc(value) | 0
      if (whole === -2147483648) return '(-2147483647i - 1i)'
      return whole < 0 ? `(${whole}i)` : `${whole}i`
    }
    case 'f32': {
      if (Number.isNaN(value)) return 'not_a_number'
      const rounded = Math.fround(value)
      if (!Number.isFinite(rounded)) return rounded < 0 ? 'neg_inf' : 'pos_inf'
      const text = Object.is(rounded, -0) ? '-0f' : `${rounded}f`
      return text.startsWith('-') ? `(${text})` : text
    }
  }
}
