import { FoveaError } from '../tile/index.ts'

/** How a weight is stored: plain floats, or blocks of a row as llama.cpp lays them out in GGUF files. */
export type WeightDType = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_k' | 'q6_k'

/** Elements in a block of a row and the bytes that they take; plain floats are blocks of one. */
export const weightBlock: Readonly<Record<WeightDType, { readonly elements: number; readonly bytes: number }>> = {
  f32: { elements: 1, bytes: 4 },
  f16: { elements: 1, bytes: 2 },
  bf16: { elements: 1, bytes: 2 },
  q8_0: { elements: 32, bytes: 34 },
  q4_0: { elements: 32, bytes: 18 },
  q4_k: { elements: 256, bytes: 144 },
  q6_k: { elements: 256, bytes: 210 },
}

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
