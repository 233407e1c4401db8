// Q8_0: y = d · q. A block of 32 elements is an f16 scale d and 32 signed bytes q.
// llama.cpp, ggml/src/ggml-common.h (block_q8_0), ggml-quants.c (quantize_row_q8_0_ref, dequantize_row_q8_0).
import { fromHalfBits, toHalfBits } from '../../tile/index.ts'

const elements = 32
const blockBytes = 34

export function dequantizeQ8(bytes: Uint8Array, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Float32Array(count)
  for (let block = 0, at = 0; block < count; block += elements, at += blockBytes) {
    const d = fromHalfBits(view.getUint16(at, true))
    for (let i = 0; i < elements; i++) values[block + i] = d * view.getInt8(at + 2 + i)
  }
  return values
}

/** d = max |x| / 127, q = x / d rounded half away from zero, in f32 as the reference computes. */
export function quantizeQ8(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / elements) * blockBytes)
  const view = new DataView(bytes.buffer)
  for (let block = 0, at = 0; block < values.length; block += elements, at += blockBytes) {
    let amax = 0
    for (let i = 0; i < elements; i++) amax = Math.max(amax, Math.abs(values[block + i]!))
    const d = Math.fround(amax / 127)
    const inverse = d === 0 ? 0 : Math.fround(1 / d)
    view.setUint16(at, toHalfBits(d), true)
    for (let i = 0; i < elements; i++) {
      const scaled = Math.fround(values[block + i]! * inverse)
      view.setInt8(at + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5))
    }
  }
  return bytes
}
