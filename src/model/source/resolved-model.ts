import type { ByteSource } from '../files/byte-source.ts'
import type { OpenBeside } from '../files/split-gguf.ts'
import type { ModelFiles } from '../model-files.ts'

/** A model whose files can be read: one .gguf file, with the other parts of a split one beside it, or those of a folder. */
export type ResolvedModel =
  | {
      readonly kind: 'gguf'
      readonly name: string
      readonly source: ByteSource
      /** null where there is no other file */
      readonly openBeside: OpenBeside | null
      /** closes sources that were given and not opened; absent where files are opened anew */
      close?(): Promise<void>
    }
  | {
      readonly kind: 'folder'
      readonly name: string
      readonly files: ModelFiles
      /** closes sources that were given, whether or not they were read; absent where files are opened anew */
      close?(): Promise<void>
    }
