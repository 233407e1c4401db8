import { weightFormats } from '../../src/nn/block-formats/weight-formats.ts'
import { type MatrixData, rowBytes, type WeightDType } from '../../src/nn/weight-data.ts'

/** A matrix of random bits, except that factors are numbers between about 0.002 and 0.03: each of its bits matters. */
export function randomBlocks(dtype: WeightDType, rows: number, cols: number, random: () => number): MatrixData {
  const bytes = Uint8Array.from({ length: rows * rowBytes('randomBlocks', dtype, cols) }, () => (random() + 1) * 128)
  const format = weightFormats[dtype]
  if (format.kind === 'plain') throw new TypeError(`${dtype} has no blocks`)
  const { factor, offset } = format
  const view = new DataView(bytes.buffer)
  for (let block = 0; block < bytes.length; block += format.bytes) {
    if (factor.as === 'e8m0') bytes[block + factor.at] = 118 + (bytes[block + factor.at]! & 3)
    else if (factor.as === 'f32') view.setFloat32(block + factor.at, 0.002 + 0.03 * (random() + 1), true)
    // infinities and NaN are none of a weight's numbers
    if (format.float)
      for (let i = 4; i < format.bytes; i++) if ((bytes[block + i]! & 0x7c) === 0x7c) bytes[block + i]! &= 0xbf
    const halves = [...(factor.as === 'f16' ? [factor.at] : []), ...(offset && 'at' in offset ? [offset.at] : [])]
    for (const at of halves) bytes[block + at + 1] = 0x18 + (bytes[block + at + 1]! & 0x87)
  }
  return { dtype, rows, cols, bytes }
}
