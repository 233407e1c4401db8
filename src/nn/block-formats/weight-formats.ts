import { fromBfloatBits, fromHalfBits } from '../../tile/index.ts'
import type { BlockFormat } from './block-format.ts'
import { f8_e4m3_32, f8_e4m3_128, f8_e5m2_32, f8_e5m2_128 } from './float8.ts'
import { int4_32, int4_64, int4_128 } from './int4.ts'
import { iq4_nl } from './iq4-nl.ts'
import { iq4_xs } from './iq4-xs.ts'
import { mxfp4 } from './mxfp4.ts'
import { encodeBfloats, encodeHalves } from './narrow-floats.ts'
import { q2_k } from './q2-k.ts'
import { q3_k } from './q3-k.ts'
import { q4_0 } from './q4-0.ts'
import { q4_1 } from './q4-1.ts'
import { q4_k } from './q4-k.ts'
import { q5_0 } from './q5-0.ts'
import { q5_1 } from './q5-1.ts'
import { q5_k } from './q5-k.ts'
import { q6_k } from './q6-k.ts'
import { q8_0 } from './q8-0.ts'

/** Plain floats: blocks of one. */
export interface PlainFormat {
  readonly kind: 'plain'
  readonly dtype: 'f32' | 'f16' | 'bf16'
  readonly elements: 1
  readonly bytes: number
  readonly ggml: { readonly type: number; readonly fileType: number }
  readonly largest: number
  /** the first `count` elements */
  decode(bytes: Uint8Array, count: number): Float32Array
  encode(values: Float32Array): Uint8Array
}

export type WeightFormat = PlainFormat | BlockFormat

const plainFormats = {
  f32: {
    kind: 'plain',
    dtype: 'f32',
    elements: 1,
    bytes: 4,
    ggml: { type: 0, fileType: 0 },
    largest: Number.MAX_VALUE,
    // with their types, since inferred ones would be those of TypeScript 5.7
    decode: (bytes: Uint8Array, count: number): Float32Array => new Float32Array(bytes.slice(0, 4 * count).buffer),
    encode: (values: Float32Array): Uint8Array => new Uint8Array(values.slice().buffer),
  },
  f16: {
    kind: 'plain',
    dtype: 'f16',
    elements: 1,
    bytes: 2,
    ggml: { type: 1, fileType: 1 },
    largest: 65504,
    decode: widen(fromHalfBits),
    encode: encodeHalves,
  },
  bf16: {
    kind: 'plain',
    dtype: 'bf16',
    elements: 1,
    bytes: 2,
    ggml: { type: 30, fileType: 32 },
    largest: 3.3895e38,
    decode: widen(fromBfloatBits),
    encode: encodeBfloats,
  },
} as const satisfies Readonly<Record<string, PlainFormat>>

const blockFormats = {
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
  int4_32,
  int4_64,
  int4_128,
  f8_e4m3_32,
  f8_e4m3_128,
  f8_e5m2_32,
  f8_e5m2_128,
} as const satisfies Readonly<Record<string, BlockFormat>>

/**
 * How a weight is stored: plain floats, or blocks of a row: as llama.cpp lays them out in GGUF files, or put together of
 * what files of floats of 8 bits, AWQ and GPTQ have in several tensors.
 */
export type WeightDType = keyof typeof plainFormats | keyof typeof blockFormats

/** All formats of weights, by the dtypes that they are called. */
export const weightFormats: Readonly<Record<WeightDType, WeightFormat>> = { ...plainFormats, ...blockFormats }

function widen(decode: (bits: number) => number): (bytes: Uint8Array, count: number) => Float32Array {
  return (bytes, count) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const values = new Float32Array(count)
    // there are 65,536 patterns: for many elements each is decoded once
    const table = count > 65536 ? Float32Array.from({ length: 65536 }, (_, bits) => decode(bits)) : undefined
    for (let i = 0; i < count; i++) {
      const bits = view.getUint16(2 * i, true)
      values[i] = table ? table[bits]! : decode(bits)
    }
    return values
  }
}
