import { FoveaError } from '../../tile/index.ts'
import type { Parameter } from '../parameters.ts'

/** Rows and columns of a parameter. Throws `shape` unless it is a matrix. */
export function matrixOf(where: string, { name, shape }: Parameter): readonly [rows: number, cols: number] {
  const [rows, cols] = shape
  if (shape.length !== 2 || !rows || !cols)
    throw new FoveaError('shape', where, `takes matrices [M, N], got ${name} [${shape.join(', ')}]`)
  return [rows, cols]
}

/** most elements of a batch: bounds the scratch, and is plenty for a GPU */
const mostElements = 2 ** 24

/** Matrices of one shape in batches, to be computed together: at most 16 Mi elements each, or one matrix. */
export function matrixBatches(where: string, parameters: readonly Parameter[]): Parameter[][] {
  const byShape = new Map<string, Parameter[]>()
  for (const parameter of parameters) {
    const shape = matrixOf(where, parameter).join()
    byShape.set(shape, [...(byShape.get(shape) ?? []), parameter])
  }
  return [...byShape.values()].flatMap((alike) => {
    const [rows, cols] = matrixOf(where, alike[0] as Parameter)
    const most = Math.max(1, Math.floor(mostElements / (rows * cols)))
    return Array.from({ length: Math.ceil(alike.length / most) }, (_, i) => alike.slice(i * most, (i + 1) * most))
  })
}
