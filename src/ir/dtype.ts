/** How an element lies in a tensor's memory. */
export type StorageDType = 'f32' | 'f16' | 'bf16' | 'i32' | 'u32' | 'i8' | 'u8'

/**
 * What a value inside a program can be. f16 and bf16 are *narrow floats*: they come out of loads and casts, may be
 * operands of `dot`, and widen to f32 in any arithmetic. i8 and u8 widen to i32 when loaded.
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'u32' | 'bool'

export const storageBytes: Readonly<Record<StorageDType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  i32: 4,
  u32: 4,
  i8: 1,
  u8: 1,
}

/** The dtype of a value loaded from a tensor of this storage dtype. */
export function loadedDType(storage: StorageDType): DType {
  return storage === 'i8' || storage === 'u8' ? 'i32' : storage
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'f32' || dtype === 'f16' || dtype === 'bf16'
}

export function isInteger(dtype: DType): boolean {
  return dtype === 'i32' || dtype === 'u32'
}

/** The dtype arithmetic is done in: narrow floats widen to f32; an integer beside a float becomes f32; i32 wins over u32. */
export function promote(a: DType, b: DType): DType {
  if (isFloat(a) || isFloat(b)) return 'f32'
  return a === b ? a : 'i32'
}
