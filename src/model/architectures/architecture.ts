import type { ArchitectureName, DecoderSpec, LayerSpec } from '../decoder-spec.ts'
import type { ConfigFields } from './config-fields.ts'

/** What the caller decides about a model and its configuration leaves open. */
export interface SpecOptions {
  /** the context that rope scalings are chosen for: longrope's long or short factors, dynamic NTK's base (all positions) */
  readonly contextLength?: number
}

/** Rows of a tensor that holds several matrices: row r of ours is row `rowOf(r)` of its `rows`. */
export interface RowsOfTensor {
  readonly rows: number
  rowOf(row: number): number
}

/** Where a file keeps one of our weights: a name without `.weight` or `.bias`, "N" for the layer; rows when fused. */
export type FileWeight =
  | string
  | {
      readonly tensor: string
      readonly part?: (layer: LayerSpec) => RowsOfTensor
      /** the matrix is stored [inputs, outputs] */
      readonly transposed?: boolean
    }

/** Names of checkpoint.ts (layers as "layers.N...") to names of a file. */
export type WeightNames = Readonly<Record<string, FileWeight>>

/** An architecture: how its configuration reads, and what its weights are called. */
export interface Architecture {
  readonly name: ArchitectureName
  /** `model_type` of its configurations */
  readonly modelTypes: readonly string[]
  /** `general.architecture` of its GGUF files */
  readonly ggufName: string
  /** Throws `format` naming file and field, `unsupported` for a variant that is not computed here. */
  spec(config: ConfigFields, options: SpecOptions): DecoderSpec
  readonly weights: {
    /** what may stand before every name but that of the head; the first that leads to the token embedding is taken */
    readonly prefixes: readonly string[]
    readonly names: WeightNames
    /** names of the head, the first that is there */
    readonly head: readonly string[]
  }
}
