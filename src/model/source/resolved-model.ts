import type { ByteSource } from '../files/byte-source.ts'
import type { ModelFiles } from '../model-files.ts'

/** A model whose files can be read: one .gguf file, or those of a folder. */
export type ResolvedModel =
  | { readonly kind: 'gguf'; readonly name: string; readonly source: ByteSource }
  | {
      readonly kind: 'folder'
      readonly name: string
      readonly files: ModelFiles
      /** closes sources that were given, whether or not they were read; absent where files are opened anew */
      close?(): Promise<void>
    }
