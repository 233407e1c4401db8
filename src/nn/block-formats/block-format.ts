import type { Value } from '../../tile/index.ts'

/**
 * A run of bits that each element (or group) of a block has: number i's begin at bit `at(i)` of the block, counted from the
 * lowest of the first byte, and lie within one byte.
 */
export interface BitField {
  readonly bits: 1 | 2 | 4 | 8
  readonly at: (i: number) => number
}

/** A whole number made of fields, the first its lowest bits. */
export interface PackedNumber {
  readonly fields: readonly BitField[]
  /** what is taken off it (0) */
  readonly minus?: number
  /** its 8 bits are a two's complement */
  readonly signed?: boolean
}

/** How a number that a block has once is stored; `e8m0`: half of 2^(byte − 127), as llama.cpp reads scales of FP4. */
export type FactorKind = 'f16' | 'f32' | 'e8m0'

/** Floats of 8 bits, on the host and in programs. */
export interface FloatCode {
  read(byte: number): number
  decode(byte: Value): Value
}

/**
 * A format of quantised weights: blocks of neighbouring elements of a row. Element i of a block, in group ⌊i / group⌋, is
 *
 *     y = factor · scale[group] · code(quant[i]) − offset[group]
 *
 * From this description come the values of a file's bytes, how they lie on a device, what programs do with them there, and
 * how blocks are written.
 */
export interface BlockDescription {
  readonly elements: number
  readonly bytes: number
  /** its tensor type in GGUF files and the file type of files that are mostly so (enums ggml_type, llama_ftype); null: has none */
  readonly ggml: { readonly type: number; readonly fileType: number } | null
  readonly quants: PackedNumber
  /** code(q) = table[q] for quants of 4 bits; else q itself */
  readonly table?: readonly number[]
  /** code(q) is the float that q, of 8 bits, stands for */
  readonly float?: FloatCode
  /** neighbouring elements with one scale */
  readonly group: number
  readonly factor: { readonly at: number; readonly as: FactorKind }
  /** of each group; 1 where there is none, and a group is a block */
  readonly scales?: PackedNumber
  /**
   * `minimum`: f16 at byte `at` times a number of the group; `sum`: minus the f16 at byte `at`; `zero`: factor times a number
   * that is taken off each quant
   */
  readonly offset?:
    | { readonly kind: 'minimum'; readonly at: number; readonly scales: PackedNumber }
    | { readonly kind: 'sum'; readonly at: number }
    | { readonly kind: 'zero'; readonly number: PackedNumber }
  /** how it is written; formats without are only read */
  readonly writes?: {
    /** values that are larger have a scale that the format does not hold */
    readonly largest: number
    /** the block that is nearest to `elements` values */
    fit(values: Float32Array): FittedBlock
  }
}

/** What is written of a block; quants and scales without what is taken off them. */
export interface FittedBlock {
  readonly factor: number
  readonly quants: ArrayLike<number>
  readonly scales?: ArrayLike<number>
  /** the factor of the minima, or the sum */
  readonly offset?: number
  readonly minima?: ArrayLike<number>
}

/** Where a field's bits lie, by number: byte of the block and bit of the byte. */
export interface FieldPlaces {
  readonly bits: number
  readonly mask: number
  /** of the number, that the field's lowest is */
  readonly bit: number
  readonly byteOf: Uint16Array
  readonly shiftOf: Uint8Array
}

export interface NumberPlaces {
  readonly fields: readonly FieldPlaces[]
  readonly bits: number
  readonly minus: number
  readonly signed: boolean
}

/** A description with its fields' places looked up. */
export interface BlockFormat extends BlockDescription {
  readonly kind: 'blocks'
  readonly groups: number
  readonly quantPlaces: NumberPlaces
  readonly scalePlaces: NumberPlaces | null
  /** of minima or zeros */
  readonly offsetPlaces: NumberPlaces | null
}

export function blockFormat(description: BlockDescription): BlockFormat {
  const { elements, group, quants, scales, offset } = description
  const groups = elements / group
  const packed = offset?.kind === 'minimum' ? offset.scales : offset?.kind === 'zero' ? offset.number : null
  return {
    ...description,
    kind: 'blocks',
    groups,
    quantPlaces: placesOf(quants, elements),
    scalePlaces: scales ? placesOf(scales, groups) : null,
    offsetPlaces: packed ? placesOf(packed, groups) : null,
  }
}

function placesOf({ fields, minus = 0, signed = false }: PackedNumber, count: number): NumberPlaces {
  let bits = 0
  const places = fields.map(({ bits: own, at }) => {
    const bit = bits
    bits += own
    return {
      bits: own,
      mask: (1 << own) - 1,
      bit,
      byteOf: Uint16Array.from({ length: count }, (_, i) => at(i) >> 3),
      shiftOf: Uint8Array.from({ length: count }, (_, i) => at(i) & 7),
    }
  })
  return { fields: places, bits, minus, signed }
}

/** Number i of the block that begins at byte `from`. */
export function readNumber(places: NumberPlaces, bytes: Uint8Array, from: number, i: number): number {
  const { fields } = places
  let number = 0
  for (let field = 0; field < fields.length; field++) {
    const { byteOf, shiftOf, mask, bit } = fields[field]!
    number |= ((bytes[from + byteOf[i]!]! >> shiftOf[i]!) & mask) << bit
  }
  return (places.signed ? (number << 24) >> 24 : number) - places.minus
}

/** Writes number i into a block whose bits for it are 0; `number` has what is taken off added to it. */
export function writeNumber(places: NumberPlaces, bytes: Uint8Array, from: number, i: number, number: number): void {
  for (const { byteOf, shiftOf, mask, bit } of places.fields)
    bytes[from + byteOf[i]!]! |= ((number >> bit) & mask) << shiftOf[i]!
}
