import type { SizedDType } from './tensor-table.ts'

/** The types of a value of the metadata; an array is written `{ arrayOf }`. Their order is that of the format's numbers. */
export const ggufValueTypes = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
] as const

export type GgufValueType = (typeof ggufValueTypes)[number]

/** Bytes of a value, at least: a string and an array begin with a length of 8 bytes, an array with its type before it. */
export const ggufValueBytes: Readonly<Record<GgufValueType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  array: 12,
  u64: 8,
  i64: 8,
  f64: 8,
}

/** A value of the metadata; integers of 64 bits beyond ±2^53 are `bigint`. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[]

/** Numbers and names of ggml's tensor types (enum ggml_type), with our dtype where it is one that we read. */
export const ggmlTypes: ReadonlyMap<number, { readonly name: string; readonly dtype?: SizedDType }> = new Map([
  [0, { name: 'F32', dtype: 'f32' }],
  [1, { name: 'F16', dtype: 'f16' }],
  [2, { name: 'Q4_0', dtype: 'q4_0' }],
  [3, { name: 'Q4_1' }],
  [6, { name: 'Q5_0' }],
  [7, { name: 'Q5_1' }],
  [8, { name: 'Q8_0', dtype: 'q8_0' }],
  [9, { name: 'Q8_1' }],
  [10, { name: 'Q2_K' }],
  [11, { name: 'Q3_K' }],
  [12, { name: 'Q4_K', dtype: 'q4_k' }],
  [13, { name: 'Q5_K' }],
  [14, { name: 'Q6_K', dtype: 'q6_k' }],
  [15, { name: 'Q8_K' }],
  [16, { name: 'IQ2_XXS' }],
  [17, { name: 'IQ2_XS' }],
  [18, { name: 'IQ3_XXS' }],
  [19, { name: 'IQ1_S' }],
  [20, { name: 'IQ4_NL' }],
  [21, { name: 'IQ3_S' }],
  [22, { name: 'IQ2_S' }],
  [23, { name: 'IQ4_XS' }],
  [24, { name: 'I8', dtype: 'i8' }],
  [25, { name: 'I16', dtype: 'i16' }],
  [26, { name: 'I32', dtype: 'i32' }],
  [27, { name: 'I64', dtype: 'i64' }],
  [28, { name: 'F64', dtype: 'f64' }],
  [29, { name: 'IQ1_M' }],
  [30, { name: 'BF16', dtype: 'bf16' }],
  [34, { name: 'TQ1_0' }],
  [35, { name: 'TQ2_0' }],
  [39, { name: 'MXFP4' }],
])
