import { type BlockFormat, type FieldPlaces, type NumberPlaces, readNumber } from '../block-formats/block-format.ts'
import { type WeightDType, weightFormats } from '../block-formats/weight-formats.ts'
import { type PlaneName, placedFormats, sharesByte } from './placed-format.ts'

/** The entries of one output feature, as bits. */
export type RowEntries = Readonly<Partial<Record<PlaneName, Uint8Array | Uint16Array | Uint32Array>>>

const entryArrays = {
  i8: Uint8Array,
  u8: Uint8Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  f32: Uint32Array,
  i32: Uint32Array,
  u32: Uint32Array,
} as const

/** Room for the entries of a row. */
export function rowEntries(dtype: WeightDType, inFeatures: number): RowEntries {
  return Object.fromEntries(
    placedFormats[dtype].planes.map(({ name, dtype: stored, length }) => [
      name,
      new entryArrays[stored](length(inFeatures)),
    ]),
  )
}

/** Takes the row of a weight that begins at byte `at` apart into its entries. */
export function unpackRow(
  dtype: WeightDType,
  bytes: Uint8Array,
  at: number,
  inFeatures: number,
  entries: RowEntries,
): void {
  const format = weightFormats[dtype]
  if (format.kind === 'plain') unpackFloats(format.bytes, bytes, at, inFeatures, entries as Required<RowEntries>)
  else unpackBlocks(format, bytes, at, inFeatures, entries as Required<RowEntries>)
}

const word = (bytes: Uint8Array, at: number) => (bytes[at] as number) | ((bytes[at + 1] as number) << 8)

function unpackFloats(width: number, bytes: Uint8Array, at: number, count: number, { values }: Required<RowEntries>) {
  for (let k = 0; k < count; k++) {
    const from = at + width * k
    values[k] = width === 2 ? word(bytes, from) : word(bytes, from) | (word(bytes, from + 2) << 16)
  }
}

function unpackBlocks(
  format: BlockFormat,
  bytes: Uint8Array,
  at: number,
  inFeatures: number,
  entries: Required<RowEntries>,
): void {
  const { elements, bytes: blockBytes, group, groups, quantPlaces, scalePlaces, offsetPlaces, factor, offset } = format
  const blocks = inFeatures / elements
  for (const [i, field] of quantPlaces.fields.entries())
    spread(field, format, bytes, at, blocks, i === 0 ? entries.quants : entries.high)
  const factors = scalePlaces ? entries.supers : entries.scales
  for (let block = 0; block < blocks; block++) {
    const from = at + blockBytes * block
    factors[block] = factorBits(bytes, from + factor.at, factor.as)
    if (offset?.kind === 'minimum') factors[blocks + block] = word(bytes, from + offset.at)
    // a sum is what is taken off, the other way round
    if (offset?.kind === 'sum') factors[blocks + block] = word(bytes, from + offset.at) ^ 0x8000
    const first = groups * block
    if (scalePlaces) numbers(scalePlaces, bytes, from, groups, entries.scales, first, 0)
    if (offsetPlaces && offset?.kind === 'zero') numbers(offsetPlaces, bytes, from, groups, entries.zeros, first, 0)
    else if (offsetPlaces && sharesByte(format)) numbers(offsetPlaces, bytes, from, groups, entries.scales, first, 4)
    else if (offsetPlaces) numbers(offsetPlaces, bytes, from, groups, entries.scales, inFeatures / group + first, 0)
  }
}

type Entries = Uint8Array | Uint16Array | Uint32Array

/** Numbers of the groups of a block, from bit `shift` of the entries from `first` on. */
function numbers(
  places: NumberPlaces,
  bytes: Uint8Array,
  from: number,
  groups: number,
  target: Entries,
  first: number,
  shift: number,
): void {
  for (let g = 0; g < groups; g++) {
    const number = readNumber(places, bytes, from, g)
    target[first + g] = shift === 0 ? number : (target[first + g] as number) | (number << shift)
  }
}

/** A field of every element of a row: single bits into words of 32, others into the bytes that parts of the row share. */
function spread(
  { bits, mask, byteOf, shiftOf }: FieldPlaces,
  { elements, bytes: blockBytes }: BlockFormat,
  bytes: Uint8Array,
  at: number,
  blocks: number,
  target: Entries,
): void {
  const inFeatures = blocks * elements
  // in words neighbours lie side by side, in bytes they are in the same place of neighbouring bytes
  const words = bits === 1
  const span = words ? 32 : (inFeatures * bits) / 8
  const step = words ? 0 : 1
  let [slot, shift, run] = [0, 0, 0]
  target.fill(0)
  for (let block = 0, from = at; block < blocks; block++, from += blockBytes)
    for (let i = 0; i < elements; ) {
      const end = Math.min(elements, i + span - run)
      run += end - i
      for (; i < end; i++, slot += step, shift += 1 - step) {
        const field = ((bytes[from + (byteOf[i] as number)] as number) >> (shiftOf[i] as number)) & mask
        target[slot] = (target[slot] as number) | (field << shift)
      }
      if (run < span) continue
      run = 0
      if (words) [slot, shift] = [slot + 1, 0]
      else [slot, shift] = [0, shift + bits]
    }
}

/** The bits of a factor as its plane holds it: f16, f32, or half of 2^(byte − 127) as bf16. */
function factorBits(bytes: Uint8Array, at: number, as: BlockFormat['factor']['as']): number {
  if (as === 'f16') return word(bytes, at)
  if (as === 'f32') return word(bytes, at) | (word(bytes, at + 2) << 16)
  const exponent = bytes[at] as number
  // below the smallest normal number the exponent is in the mantissa
  return exponent > 1 ? (exponent - 1) << 7 : 0x20 << exponent
}
