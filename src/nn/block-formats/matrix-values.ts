import { FoveaError, fromBfloatBits, fromHalfBits } from '../../tile/index.ts'
import type { MatrixData, WeightDType } from '../weight-data.ts'
import { rowBytes } from '../weight-data.ts'
import { encodeBfloats, encodeHalves } from './narrow-floats.ts'
import { dequantizeQ4, quantizeQ4 } from './q4-0.ts'
import { dequantizeQ4K, quantizeQ4K } from './q4-k.ts'
import { dequantizeQ6K, quantizeQ6K } from './q6-k.ts'
import { dequantizeQ8, quantizeQ8 } from './q8-0.ts'

interface WeightFormat {
  /** the first `count` elements */
  readonly dequantize: (bytes: Uint8Array, count: number) => Float32Array
  readonly quantize: (values: Float32Array) => Uint8Array
  /** larger values have a scale, or are a number, that f16 does not hold */
  readonly largest: number
}

const largestHalf = 65504

/** How the elements of each dtype are read and written. */
export const weightFormats: Readonly<Record<WeightDType, WeightFormat>> = {
  f32: {
    dequantize: (bytes, count) => new Float32Array(bytes.slice(0, 4 * count).buffer),
    quantize: (values) => new Uint8Array(values.slice().buffer),
    largest: Number.MAX_VALUE,
  },
  f16: { dequantize: widen(fromHalfBits), quantize: encodeHalves, largest: largestHalf },
  bf16: { dequantize: widen(fromBfloatBits), quantize: encodeBfloats, largest: 3.3895e38 },
  q8_0: { dequantize: dequantizeQ8, quantize: quantizeQ8, largest: largestHalf * 127 },
  q4_0: { dequantize: dequantizeQ4, quantize: quantizeQ4, largest: largestHalf * 8 },
  q4_k: { dequantize: dequantizeQ4K, quantize: quantizeQ4K, largest: largestHalf * 63 },
  q6_k: { dequantize: dequantizeQ6K, quantize: quantizeQ6K, largest: largestHalf * 128 },
}

/** All elements of a matrix, row by row. Throws `shape` when its bytes do not fit its rows and columns. */
export function dequantizeRows(matrix: MatrixData): Float32Array {
  const { dtype, rows, cols, bytes } = matrix
  const size = rows * rowBytes('dequantizeRows', dtype, cols)
  if (bytes.byteLength !== size)
    throw new FoveaError(
      'shape',
      'dequantizeRows',
      `${dtype} [${rows}, ${cols}] takes ${size} bytes, got ${bytes.length}`,
    )
  return weightFormats[dtype].dequantize(bytes, rows * cols)
}

/**
 * A matrix [rows, cols] of f32 values stored as `dtype`: floats rounded to nearest even, Q8_0 and Q4_0 byte for byte as
 * ggml's reference quantisers give them. Throws `shape` for columns that are no whole number of blocks or values that do
 * not fit, `argument` naming the element for one that is not finite or has no finite form in `dtype`.
 */
export function quantizeMatrix(values: Float32Array, rows: number, cols: number, dtype: WeightDType): MatrixData {
  rowBytes('quantizeMatrix', dtype, cols)
  if (values.length !== rows * cols)
    throw new FoveaError(
      'shape',
      'quantizeMatrix',
      `[${rows}, ${cols}] has ${rows * cols} values, got ${values.length}`,
    )
  const { quantize, largest } = weightFormats[dtype]
  for (let i = 0; i < values.length; i++)
    if (!(Math.abs(values[i]!) <= largest)) {
      const at = `row ${Math.floor(i / cols)}, column ${i % cols}`
      throw new FoveaError('argument', 'quantizeMatrix', `${values[i]} in ${at} cannot be stored as ${dtype}`)
    }
  return { dtype, rows, cols, bytes: quantize(values) }
}

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
