import { FoveaError } from '../../tile/index.ts'
import type { MatrixData } from '../weight-data.ts'
import { rowBytes } from '../weight-data.ts'
import { readBlocks } from './read-blocks.ts'
import { type WeightDType, weightFormats } from './weight-formats.ts'
import { writeBlocks } from './write-blocks.ts'

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
  const format = weightFormats[dtype]
  return format.kind === 'plain' ? format.decode(bytes, rows * cols) : readBlocks(format, bytes, rows * cols)
}

/** The dtypes that weights can be written in; the others are only read. */
export const writtenDTypes: readonly WeightDType[] = (Object.keys(weightFormats) as WeightDType[]).filter(
  (dtype) => writerOf(dtype) !== null,
)

/**
 * A matrix [rows, cols] of f32 values stored as `dtype`: floats rounded to nearest even, blocks of 32 byte for byte as
 * ggml's reference quantisers give them. Throws `shape` for columns that are no whole number of blocks or values that do
 * not fit, `argument` naming the element for one that is not finite or has no finite form in `dtype`, `unsupported` for a
 * dtype that is only read.
 */
export function quantizeMatrix(values: Float32Array, rows: number, cols: number, dtype: WeightDType): MatrixData {
  rowBytes('quantizeMatrix', dtype, cols)
  if (values.length !== rows * cols)
    throw new FoveaError(
      'shape',
      'quantizeMatrix',
      `[${rows}, ${cols}] has ${rows * cols} values, got ${values.length}`,
    )
  const writer = writerOf(dtype)
  if (!writer)
    throw new FoveaError(
      'unsupported',
      'quantizeMatrix',
      `${dtype} is only read; written are ${writtenDTypes.join(', ')}`,
    )
  for (let i = 0; i < values.length; i++)
    if (!(Math.abs(values[i]!) <= writer.largest)) {
      const at = `row ${Math.floor(i / cols)}, column ${i % cols}`
      throw new FoveaError('argument', 'quantizeMatrix', `${values[i]} in ${at} cannot be stored as ${dtype}`)
    }
  return { dtype, rows, cols, bytes: writer.encode(values) }
}

/** How a dtype is written, null where it is only read. */
function writerOf(dtype: WeightDType): { largest: number; encode(values: Float32Array): Uint8Array } | null {
  const format = weightFormats[dtype]
  if (format.kind === 'plain') return format
  const { writes } = format
  return writes ? { largest: writes.largest, encode: (values) => writeBlocks(format, values, writes.fit) } : null
}
