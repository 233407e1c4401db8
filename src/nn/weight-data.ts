import { FoveaError } from '../tile/index.ts'
import { type WeightDType, weightFormats } from './block-formats/weight-formats.ts'

export type { WeightDType }

/** Elements in a block of a row and the bytes that they take; plain floats are blocks of one. */
export const weightBlock: Readonly<Record<WeightDType, { readonly elements: number; readonly bytes: number }>> =
  weightFormats

/** A weight matrix [rows = output features, cols = input features] on the host, row by row, as it is stored. */
export interface MatrixData {
  readonly dtype: WeightDType
  readonly rows: number
  readonly cols: number
  readonly bytes: Uint8Array
}

/** Bytes of a row. Throws `shape` when the columns are no whole number of blocks. */
export function rowBytes(where: string, dtype: WeightDType, cols: number): number {
  const { elements, bytes } = weightBlock[dtype]
  if (cols % elements !== 0)
    throw new FoveaError('shape', where, `rows of ${dtype} hold a multiple of ${elements} elements, got ${cols}`)
  return (cols / elements) * bytes
}
