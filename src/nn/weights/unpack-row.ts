import type { WeightDType } from '../weight-data.ts'
import { type PlaneName, placedFormats } from './placed-format.ts'

/** The entries of one output feature, as bits. */
export type RowEntries = Readonly<Partial<Record<PlaneName, Uint8Array | Uint16Array | Uint32Array>>>

/** Room for the entries of a row. */
export function rowEntries(dtype: WeightDType, inFeatures: number): RowEntries {
  const entries: Partial<Record<PlaneName, Uint8Array | Uint16Array | Uint32Array>> = {}
  for (const plane of placedFormats[dtype].planes) {
    const length = plane.length(inFeatures)
    const narrow = plane.dtype === 'i8' || plane.dtype === 'u8'
    entries[plane.name] = narrow
      ? new Uint8Array(length)
      : plane.dtype === 'f32'
        ? new Uint32Array(length)
        : new Uint16Array(length)
  }
  return entries
}

/** Takes the row of a weight that begins at byte `at` apart into its entries. */
export function unpackRow(
  dtype: WeightDType,
  bytes: Uint8Array,
  at: number,
  inFeatures: number,
  entries: RowEntries,
): void {
  unpackers[dtype](bytes, at, inFeatures, entries as Required<RowEntries>)
}

type Unpack = (bytes: Uint8Array, at: number, inFeatures: number, entries: Required<RowEntries>) => void

const word = (bytes: Uint8Array, at: number) => (bytes[at] as number) | ((bytes[at + 1] as number) << 8)

const halves: Unpack = (bytes, at, inFeatures, { values }) => {
  for (let k = 0; k < inFeatures; k++) values[k] = word(bytes, at + 2 * k)
}

/** The blocks are those of ggml-quants (llama.cpp), see the reference. */
const unpackers: Readonly<Record<WeightDType, Unpack>> = {
  f32: (bytes, at, inFeatures, { values }) => {
    for (let k = 0; k < inFeatures; k++) values[k] = word(bytes, at + 4 * k) | (word(bytes, at + 4 * k + 2) << 16)
  },
  f16: halves,
  bf16: halves,
  q8_0: (bytes, at, inFeatures, { quants, scales }) => {
    for (let block = 0; block < inFeatures / 32; block++) {
      const from = at + 34 * block
      scales[block] = word(bytes, from)
      quants.set(bytes.subarray(from + 2, from + 34), 32 * block)
    }
  },
  q4_0: (bytes, at, inFeatures, { quants, scales }) => {
    const put = nibbles(quants, inFeatures)
    for (let block = 0; block < inFeatures / 32; block++) {
      const from = at + 18 * block
      scales[block] = word(bytes, from)
      for (let i = 0; i < 16; i++) {
        const pair = bytes[from + 2 + i] as number
        put(32 * block + i, pair & 15)
        put(32 * block + 16 + i, pair >> 4)
      }
    }
  },
  q4_k: (bytes, at, inFeatures, { quants, scales, supers }) => {
    const put = nibbles(quants, inFeatures)
    const [groups, blocks] = [inFeatures / 32, inFeatures / 256]
    for (let block = 0; block < blocks; block++) {
      const from = at + 144 * block
      supers[block] = word(bytes, from)
      supers[blocks + block] = word(bytes, from + 2)
      const packed = (i: number) => bytes[from + 4 + i] as number
      for (let j = 0; j < 8; j++) {
        const first = j < 4
        const scale = first ? packed(j) & 63 : (packed(j + 4) & 15) | ((packed(j - 4) >> 6) << 4)
        const minimum = first ? packed(j + 4) & 63 : (packed(j + 4) >> 4) | ((packed(j) >> 6) << 4)
        scales[8 * block + j] = scale
        scales[groups + 8 * block + j] = minimum
      }
      for (let i = 0; i < 128; i++) {
        const pair = bytes[from + 16 + i] as number
        const k = 256 * block + 64 * (i >> 5) + (i & 31)
        put(k, pair & 15)
        put(k + 32, pair >> 4)
      }
    }
  },
  q6_k: (bytes, at, inFeatures, { quants, high, scales, supers }) => {
    const put = nibbles(quants, inFeatures)
    const quarter = inFeatures / 4
    high.fill(0)
    const putHigh = (k: number, bits: number) => {
      const slot = k % quarter
      high[slot] = (high[slot] as number) | (bits << (2 * Math.floor(k / quarter)))
    }
    for (let block = 0; block < inFeatures / 256; block++) {
      const from = at + 210 * block
      supers[block] = word(bytes, from + 208)
      scales.set(bytes.subarray(from + 192, from + 208), 16 * block)
      for (let i = 0; i < 64; i++) {
        const [half, l] = [i >> 5, i & 31]
        const bits = bytes[from + 128 + i] as number
        const [a, b] = [bytes[from + 64 * half + l] as number, bytes[from + 64 * half + 32 + l] as number]
        const low = [a & 15, b & 15, a >> 4, b >> 4]
        for (let quad = 0; quad < 4; quad++) {
          const k = 256 * block + 128 * half + 32 * quad + l
          put(k, low[quad] as number)
          putHigh(k, (bits >> (2 * quad)) & 3)
        }
      }
    }
  },
}

/** Writes 4-bit numbers: those of the first half of the row into the low bits. */
function nibbles(quants: Uint8Array | Uint16Array | Uint32Array, inFeatures: number) {
  const half = inFeatures / 2
  quants.fill(0)
  return (k: number, bits: number) => {
    if (k < half) quants[k] = (quants[k] as number) | bits
    else quants[k - half] = (quants[k - half] as number) | (bits << 4)
  }
}
