import { FoveaError } from '../../tile/index.ts'
import type { Architecture } from './architecture.ts'
import { gemma2 } from './gemma2.ts'
import { gemma3 } from './gemma3.ts'
import { gptNeox } from './gpt-neox.ts'
import { gpt2 } from './gpt2.ts'
import { llama } from './llama.ts'
import { mistral } from './mistral.ts'
import { olmo2 } from './olmo2.ts'
import { phi3 } from './phi3.ts'
import { qwen2 } from './qwen2.ts'
import { qwen3 } from './qwen3.ts'
import { smollm3 } from './smollm3.ts'

/** All that are known. */
export const architectures: readonly Architecture[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma2,
  gemma3,
  phi3,
  gpt2,
  gptNeox,
  olmo2,
  smollm3,
]

/** The architecture of a `model_type` (config.json) or `general.architecture` (GGUF). Throws `format` with those known. */
export function findArchitecture(file: string, field: 'model_type' | 'general.architecture', name: string) {
  const namesOf = ({ modelTypes, ggufName }: Architecture): readonly string[] =>
    field === 'model_type' ? modelTypes : ggufName === undefined ? [] : [ggufName]
  const found = architectures.find((architecture) => namesOf(architecture).includes(name))
  if (found) return found
  const known = [...new Set(architectures.flatMap(namesOf))].join(', ')
  throw new FoveaError(
    'format',
    'openCheckpoint',
    `${file}: ${field} is the unknown architecture "${name}"; known are ${known}`,
  )
}
