import { int4Header } from '../../nn/block-formats/int4.ts'
import type { PackedInt4 } from './quantization-config.ts'

/** The tensors of a matrix [rows = outputs, cols = inputs] whose weights are 4 bits, as they are stored. */
export interface Int4Parts {
  readonly rows: number
  readonly cols: number
  /** GPTQ: [cols / 8, rows], AWQ: [cols, rows / 8] */
  readonly quants: Int32Array
  /** [groups, rows / 8] */
  readonly zeros: Int32Array
  /** [groups, rows] */
  readonly scales: Float32Array
}

/** where in a word AWQ keeps the eight columns of it */
const awqOrder = [0, 4, 1, 5, 2, 6, 3, 7] as const

/**
 * Rows `from` … to − 1 as blocks of `elements` inputs: scale, zero, quants (block-formats/int4.ts). AutoGPTQ's
 * qlinear_cuda.py (pack), AutoAWQ's packing_utils.py.
 */
export function int4Blocks(
  { rows, cols, quants, zeros, scales }: Int4Parts,
  { kind, zeroOffset }: PackedInt4,
  elements: number,
  from: number,
  to: number,
): Uint8Array {
  const groups = scales.length / rows
  const blocks = cols / elements
  const blockBytes = int4Header + elements / 2
  const bytes = new Uint8Array((to - from) * blocks * blockBytes)
  const view = new DataView(bytes.buffer)
  const inWord = (n: number) => 4 * (kind === 'awq' ? awqOrder[n & 7]! : n & 7)
  const words = rows / 8
  for (let row = from; row < to; row++)
    for (let block = 0; block < blocks; block++) {
      const at = ((row - from) * blocks + block) * blockBytes
      const group = Math.floor((block * elements * groups) / cols)
      view.setFloat32(at, scales[group * rows + row]!, true)
      bytes[at + 4] = ((zeros[group * words + (row >> 3)]! >> inWord(row)) & 15) + zeroOffset
      for (let i = 0; i < elements; i++) {
        const k = block * elements + i
        const word = kind === 'awq' ? quants[k * words + (row >> 3)]! : quants[(k >> 3) * rows + row]!
        const quant = (word >> (kind === 'awq' ? inWord(row) : 4 * (k & 7))) & 15
        bytes[at + int4Header + (i >> 1)]! |= quant << (4 * (i & 1))
      }
    }
  return bytes
}
