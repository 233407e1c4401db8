import { dequantizeRows, quantizeMatrix } from '../../nn/block-formats/matrix-values.ts'
import { type MatrixData, rowBytes, type WeightDType } from '../../nn/weight-data.ts'

/** Elements that are widened to f32 at a time. */
const chunk = 2 ** 20

/**
 * The same matrix stored as `dtype`, some rows at a time; one that is stored so already is given back as it is. Throws
 * what `quantizeMatrix` throws.
 */
export function convertMatrix(matrix: MatrixData, dtype: WeightDType): MatrixData {
  if (matrix.dtype === dtype) return matrix
  const { rows, cols } = matrix
  const from = rowBytes('convertMatrix', matrix.dtype, cols)
  const to = rowBytes('convertMatrix', dtype, cols)
  const bytes = new Uint8Array(rows * to)
  const step = Math.max(1, Math.floor(chunk / Math.max(cols, 1)))
  for (let row = 0; row < rows; row += step) {
    const some = Math.min(step, rows - row)
    const part = { ...matrix, rows: some, bytes: matrix.bytes.subarray(row * from, (row + some) * from) }
    bytes.set(quantizeMatrix(dequantizeRows(part), some, cols, dtype).bytes, row * to)
  }
  return { dtype, rows, cols, bytes }
}
