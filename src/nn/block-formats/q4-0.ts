// Q4_0: y = d · (q − 8). A block of 32 elements is an f16 scale d and 16 bytes, of which byte i holds the q of element i
// in its low and of element i + 16 in its high half.
// llama.cpp, ggml/src/ggml-common.h (block_q4_0), ggml-quants.c (quantize_row_q4_0_ref, dequantize_row_q4_0).
import { fromHalfBits, toHalfBits } from '../../tile/index.ts'

const elements = 32
const blockBytes = 18

export function dequantizeQ4(bytes: Uint8Array, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Float32Array(count)
  for (let block = 0, at = 0; block < count; block += elements, at += blockBytes) {
    const d = fromHalfBits(view.getUint16(at, true))
    for (let i = 0; i < 16; i++) {
      const pair = view.getUint8(at + 2 + i)
      values[block + i] = d * ((pair & 15) - 8)
      values[block + 16 + i] = d * ((pair >> 4) - 8)
    }
  }
  return values
}

/** d = x / −8 of the x that is largest absolutely, sign kept, so that it is met exactly; q = ⌊x / d + 8.5⌋, at most 15. */
export function quantizeQ4(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / elements) * blockBytes)
  const view = new DataView(bytes.buffer)
  for (let block = 0, at = 0; block < values.length; block += elements, at += blockBytes) {
    let largest = 0
    for (let i = 0; i < elements; i++)
      if (Math.abs(values[block + i]!) > Math.abs(largest)) largest = values[block + i]!
    const d = Math.fround(largest / -8)
    const inverse = d === 0 ? 0 : Math.fround(1 / d)
    view.setUint16(at, toHalfBits(d), true)
    const nibble = (i: number) => {
      const shifted = Math.fround(Math.fround(values[block + i]! * inverse) + 8.5)
      return Math.min(15, Math.trunc(shifted)) & 15
    }
    for (let i = 0; i < 16; i++) view.setUint8(at + 2 + i, nibble(i) | (nibble(i + 16) << 4))
  }
  return bytes
}
