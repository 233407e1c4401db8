import { weightFormats } from '../../nn/block-formats/weight-formats.ts'
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

/** Names of ggml's tensor types by their numbers (enum ggml_type). */
const ggmlTypeNames: Readonly<Record<number, string>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  30: 'BF16',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
}

/** Those that are no weights and yet have a size that is known here. */
const plainTypes: readonly (readonly [type: number, dtype: SizedDType])[] = [
  [24, 'i8'],
  [25, 'i16'],
  [26, 'i32'],
  [27, 'i64'],
  [28, 'f64'],
]

/** Our dtypes of ggml's tensor types, as far as they are read. */
const ggmlDTypes: ReadonlyMap<number, SizedDType> = new Map([
  ...plainTypes,
  ...Object.entries(weightFormats).flatMap(([dtype, { ggml }]) =>
    ggml ? [[ggml.type, dtype as SizedDType] as const] : [],
  ),
])

/** What a tensor type is called, and our dtype where it is one that we read. */
export function ggmlType(type: number): { readonly name: string; readonly dtype: SizedDType | undefined } {
  return { name: ggmlTypeNames[type] ?? `type ${type}`, dtype: ggmlDTypes.get(type) }
}

/** The tensor type of a dtype, undefined where files have none for it. */
export function ggmlTypeOf(dtype: SizedDType): number | undefined {
  for (const [type, known] of ggmlDTypes) if (known === dtype) return type
  return undefined
}
