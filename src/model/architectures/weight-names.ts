import type { LayerSpec } from '../decoder-spec.ts'

/** Rows of a tensor that holds several matrices: row r of ours is row `rowOf(r)` of its `rows`. */
export interface RowsOfTensor {
  readonly rows: number
  rowOf(row: number): number
}

/** Where a file keeps one of our weights: a name without `.weight` or `.bias`, "N" for the layer; rows when fused. */
export type FileWeight = string | StoredWeight

export interface StoredWeight {
  /** its name, or several of which the first that the file has is taken */
  readonly tensor: string | readonly string[]
  readonly part?: (layer: LayerSpec) => RowsOfTensor
  /** the matrix is stored [inputs, outputs], or several of them [count, inputs, outputs] */
  readonly transposed?: boolean
  /** no `.weight` follows the name; a bias is called name_bias */
  readonly bare?: boolean
  /** so many tensors, one after the other, make ours: "E" in their names counts them */
  readonly each?: (layer: LayerSpec) => number
  /** so many lie in one tensor with an axis for them, which only a writer minds */
  readonly stacked?: (layer: LayerSpec) => number
}

/** Names of checkpoint.ts (layers as "layers.N...") to names of a file. */
export type WeightNames = Readonly<Record<string, FileWeight>>
