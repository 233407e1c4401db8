import type { ArchitectureName, DecoderSpec, LayerSpec } from '../decoder-spec.ts'
import type { ConfigFields } from './config-fields.ts'

/** What the caller decides about a model and its configuration leaves open. */
export interface SpecOptions {
  /** the context that rope scalings are chosen for: longrope's long or short factors, dynamic NTK's base (all positions) */
  readonly contextLength?: number
  /**
   * fields of config.json or keys of a GGUF file that are to be read past although they are not known here and say
   * something, by name ("foo") or path ("rope_scaling.foo", "llama.foo")
   */
  readonly ignoreFields?: readonly string[]
}

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
}

/** Names of checkpoint.ts (layers as "layers.N...") to names of a file. */
export type WeightNames = Readonly<Record<string, FileWeight>>

/** An architecture: how its configuration reads, and what its weights are called. */
export interface Architecture {
  readonly name: ArchitectureName
  /** `model_type` of its configurations */
  readonly modelTypes: readonly string[]
  /** `general.architecture` of its GGUF files, where these are read */
  readonly ggufName?: string
  /**
   * fields that its configurations have and that do not matter where `spec` does not ask for them; all others that it does
   * not ask for are refused (`check-unread.ts`)
   */
  readonly idle?: readonly string[]
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
