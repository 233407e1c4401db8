import { dequantizeRows, quantizeMatrix } from '../nn/block-formats/matrix-values.ts'
import { type MatrixData, rowBytes, type WeightDType } from '../nn/weight-data.ts'
import type { WeightSource } from './checkpoint.ts'

/** elements that are widened to f32 at a time */
const chunk = 2 ** 21

/**
 * A matrix of a checkpoint stored as `dtype`, its values changed on the way: some rows are read at a time, so that nothing
 * but what is given is ever held whole. Throws what `quantizeMatrix` and reading throw.
 */
export async function rewrittenMatrix(
  weights: WeightSource,
  name: string,
  dtype: WeightDType,
  change: (values: Float32Array, from: number) => void = () => {},
): Promise<MatrixData> {
  const { rows, cols } = weights.matrixInfo(name)
  const size = rowBytes('rewrittenMatrix', dtype, cols)
  const bytes = new Uint8Array(rows * size)
  const step = Math.max(1, Math.floor(chunk / Math.max(1, cols)))
  const whole = weights.matrixRows ? null : await weights.matrix(name)
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step)
    const values = dequantizeRows(
      whole ? rowsOf(whole, from, to) : ((await weights.matrixRows?.(name, from, to)) as MatrixData),
    )
    change(values, from)
    bytes.set(quantizeMatrix(values, to - from, cols, dtype).bytes, from * size)
  }
  return { dtype, rows, cols, bytes }
}

function rowsOf(matrix: MatrixData, from: number, to: number): MatrixData {
  const size = rowBytes('rewrittenMatrix', matrix.dtype, matrix.cols)
  return { ...matrix, rows: to - from, bytes: matrix.bytes.subarray(from * size, to * size) }
}
