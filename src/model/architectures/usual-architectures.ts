import type { Architecture } from './architecture.ts'
import { gemma3 } from './gemma3.ts'
import { llama } from './llama.ts'
import { mistral } from './mistral.ts'
import { qwen2 } from './qwen2.ts'
import { qwen3 } from './qwen3.ts'

/** Those of most models that are run: what else is read is loaded for a file that names it. */
export const usualArchitectures: readonly Architecture[] = [llama, mistral, qwen2, qwen3, gemma3]

/** Where the architecture of a file is named. */
export type ArchitectureField = 'model_type' | 'general.architecture'

/** What an architecture is called in a field: `model_type` of config.json, `general.architecture` of GGUF. */
export const namesIn =
  (field: ArchitectureField) =>
  ({ modelTypes, ggufName }: Architecture): readonly string[] =>
    field === 'model_type' ? modelTypes : ggufName === undefined ? [] : [ggufName]
