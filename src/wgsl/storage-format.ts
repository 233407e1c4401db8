import type { StorageDType } from '../ir/index.ts'
import type { HelperUse } from './element-functions.ts'
import type { TextWriter } from './text-writer.ts'

/**
 * How a tensor is bound and how its elements are read and written. Addresses are i32 expressions in elements; a chunk is four
 * neighbouring elements at an address that is a multiple of four. Values are of the loaded dtype (narrow floats as f32, bytes
 * as i32).
 */
export interface StorageFormat {
  /** element type of the runtime-sized array */
  readonly declared: string
  /** can chunks be read and written whole? */
  readonly chunked: boolean
  loadElement(w: TextWriter, buffer: string, address: string): string
  loadChunk(w: TextWriter, buffer: string, address: string): string
  storeElement(w: TextWriter, buffer: string, address: string, value: string): void
  storeChunk(w: TextWriter, buffer: string, address: string, value: string): void
}

/** How several invocations may write one 32-bit word: not at all, or with atomic operations. */
export type Sharing = 'owned' | 'atomic'

/** The format of a tensor of this dtype; `halves`: f16 is a type of the shader. */
export function storageFormat(
  dtype: StorageDType,
  alignment: number,
  halves: boolean,
  sharing: Sharing,
  helper: HelperUse,
): StorageFormat {
  switch (dtype) {
    case 'f32':
    case 'i32':
    case 'u32':
      return typedFormat(dtype, dtype, alignment >= 4)
    case 'f16':
      return halves ? typedFormat('f16', 'f32', alignment >= 4) : packedFormat(halfPacking(helper), alignment, sharing)
    case 'bf16':
      return packedFormat(bfloatPacking(helper), alignment, sharing)
    case 'i8':
    case 'u8':
      return packedFormat(bytePacking(dtype), alignment, sharing)
    default:
      return dtype satisfies never
  }
}

/** tensors whose elements WGSL can hold as they are */
function typedFormat(stored: string, value: string, chunked: boolean): StorageFormat {
  const same = stored === value
  const out = (x: string) => (same ? x : `${value}(${x})`)
  const into = (x: string) => (same ? x : `${stored}(${x})`)
  const element = (buffer: string, address: string) =>
    chunked ? `${buffer}[u32(${address}) >> 2u][u32(${address}) & 3u]` : `${buffer}[u32(${address})]`
  return {
    declared: chunked ? `vec4<${stored}>` : stored,
    chunked,
    loadElement: (_, buffer, address) => out(element(buffer, address)),
    loadChunk: (_, buffer, address) => {
      const chunk = `${buffer}[u32(${address}) >> 2u]`
      return same ? chunk : `vec4<${value}>(${chunk})`
    },
    storeElement: (w, buffer, address, x) => w.line(`${element(buffer, address)} = ${into(x)};`),
    storeChunk: (w, buffer, address, x) =>
      w.line(`${buffer}[u32(${address}) >> 2u] = ${same ? x : `vec4<${stored}>(${x})`};`),
  }
}

/** elements of less than 32 bits in words */
interface Packing {
  /** elements in a word */
  readonly perWord: 2 | 4
  /** the value of the element at bit `shift` of `word` */
  unpack(word: string, shift: string): string
  /** the four values of a chunk in one or two words */
  unpackChunk(words: readonly string[]): string
  /** the bits (at position 0) of a value */
  bits(value: string): string
  /** the one or two words of a chunk */
  packChunk(w: TextWriter, value: string): readonly string[]
}

function packedFormat(packing: Packing, alignment: number, sharing: Sharing): StorageFormat {
  const atomic = sharing === 'atomic'
  const chunked = alignment >= 4
  const [step, mask] = packing.perWord === 2 ? ['1u', '1u'] : ['2u', '3u']
  const bitsEach = 32 / packing.perWord
  const elementMask = packing.perWord === 2 ? '0xffffu' : '0xffu'
  // chunks of two words are bound as pairs, unless they are atomic
  const pairs = chunked && !atomic && packing.perWord === 2
  const slot = (buffer: string, address: string) =>
    pairs ? `${buffer}[u32(${address}) >> 2u][(u32(${address}) >> 1u) & 1u]` : `${buffer}[u32(${address}) >> ${step}]`
  const shift = (address: string) => `((u32(${address}) & ${mask}) * ${bitsEach}u)`
  const load = (place: string) => (atomic ? `atomicLoad(&${place})` : place)
  return {
    declared: atomic ? 'atomic<u32>' : pairs ? 'vec2<u32>' : 'u32',
    chunked,
    loadElement: (_, buffer, address) => packing.unpack(load(slot(buffer, address)), shift(address)),
    loadChunk: (w, buffer, address) => {
      if (packing.perWord === 4) return packing.unpackChunk([w.declare(load(slot(buffer, address)), 'word')])
      if (pairs) {
        const words = w.declare(`${buffer}[u32(${address}) >> 2u]`, 'words')
        return packing.unpackChunk([`${words}.x`, `${words}.y`])
      }
      const first = w.share(`u32(${address}) >> 1u`, 'at')
      return packing.unpackChunk([0, 1].map((n) => w.declare(load(`${buffer}[${first} + ${n}u]`), 'word')))
    },
    storeElement: (w, buffer, address, value) => {
      if (!atomic) throw new Error('storeElement: a packed tensor written by elements must be atomic')
      const bit = w.share(shift(address), 'bit')
      // two invocations may own parts of the word: clear and set only the bits that are ours
      w.line(`atomicAnd(&${slot(buffer, address)}, ~(${elementMask} << ${bit}));`)
      w.line(`atomicOr(&${slot(buffer, address)}, ${packing.bits(value)} << ${bit});`)
    },
    storeChunk: (w, buffer, address, value) => {
      const words = packing.packChunk(w, value)
      if (pairs) w.line(`${buffer}[u32(${address}) >> 2u] = vec2<u32>(${words.join(', ')});`)
      else
        words.forEach((word, n) => {
          const place = `${buffer}[(u32(${address}) >> ${step}) + ${n}u]`
          w.line(atomic ? `atomicStore(&${place}, ${word});` : `${place} = ${word};`)
        })
    },
  }
}

function halfPacking(helper: HelperUse): Packing {
  return {
    perWord: 2,
    unpack: (word, shift) => `unpack2x16float(${word} >> ${shift}).x`,
    unpackChunk: ([low, high]) => `vec4<f32>(unpack2x16float(${low}), unpack2x16float(${high}))`,
    bits: (value) => `${helper('halfBits1')}(${value})`,
    packChunk: (w, value) => {
      const bits = w.share(`${helper('halfBits4')}(${value})`, 'bits')
      return [`${bits}.x | (${bits}.y << 16u)`, `${bits}.z | (${bits}.w << 16u)`]
    },
  }
}

function bfloatPacking(helper: HelperUse): Packing {
  return {
    perWord: 2,
    unpack: (word, shift) => `bitcast<f32>((${word} >> ${shift}) << 16u)`,
    unpackChunk: ([low, high]) =>
      `bitcast<vec4<f32>>(vec4<u32>(${low} << 16u, ${low} & 0xffff0000u, ${high} << 16u, ${high} & 0xffff0000u))`,
    bits: (value) => `${helper('bfloatBits1')}(${value})`,
    packChunk: (w, value) => {
      const bits = w.share(`${helper('bfloatBits4')}(${value})`, 'bits')
      return [`${bits}.x | (${bits}.y << 16u)`, `${bits}.z | (${bits}.w << 16u)`]
    },
  }
}

function bytePacking(dtype: 'i8' | 'u8'): Packing {
  return {
    perWord: 4,
    unpack: (word, shift) =>
      dtype === 'u8' ? `i32((${word} >> ${shift}) & 0xffu)` : `(i32((${word} >> ${shift}) << 24u) >> 24u)`,
    unpackChunk: ([word]) =>
      dtype === 'u8'
        ? `vec4<i32>((vec4<u32>(${word}) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu))`
        : `((vec4<i32>(i32(${word})) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u))`,
    bits: (value) => `(u32(${value}) & 0xffu)`,
    packChunk: (w, value) => {
      const bytes = w.share(`vec4<u32>(${value}) & vec4<u32>(0xffu)`, 'bytes')
      return [`${bytes}.x | (${bytes}.y << 8u) | (${bytes}.z << 16u) | (${bytes}.w << 24u)`]
    },
  }
}
