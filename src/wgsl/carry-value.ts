import type { DType } from '../ir/index.ts'
import { valueType, type Width } from './value-type.ts'

/** A value as f32 for workgroup memory: integers keep their bits, bools become 0 and 1. */
export function toMemory(value: string, dtype: DType, width: Width): string {
  if (dtype === 'i32' || dtype === 'u32') return `bitcast<${valueType('f32', width)}>(${value})`
  return dtype === 'bool' ? `${valueType('f32', width)}(${value})` : value
}

/** The inverse of `toMemory`. */
export function fromMemory(value: string, dtype: DType, width: Width): string {
  if (dtype === 'i32' || dtype === 'u32') return `bitcast<${valueType(dtype, width)}>(${value})`
  return dtype === 'bool' ? `(${value} != ${valueType('f32', width)}(0f))` : value
}
