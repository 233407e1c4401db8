import type { ArchitectureName, DecoderSpec } from '../decoder-spec.ts'
import type { ConfigFields } from './config-fields.ts'
import type { GgufFacts } from './gguf-facts.ts'
import type { WeightNames } from './weight-names.ts'

export type { FileWeight, RowsOfTensor, StoredWeight, WeightNames } from './weight-names.ts'

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

/** An architecture: how its configuration reads, and what its weights are called. */
export interface Architecture {
  readonly name: ArchitectureName
  /** `model_type` of its configurations */
  readonly modelTypes: readonly string[]
  /** `general.architecture` of its GGUF files, where these are read */
  readonly ggufName?: string
  /** what is otherwise in them than in those of most architectures */
  readonly gguf?: GgufFacts
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
