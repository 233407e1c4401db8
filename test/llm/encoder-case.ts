import { existsSync, readFileSync } from 'node:fs'
import type { Pooling } from '../../src/model/encoders/encoder-spec.ts'
import { readSafetensors } from '../conformance/read-safetensors.ts'

// one in this repository, for a clone that stands alone; all of them beside the project
const roots = ['../golden/architectures/', '../../../shared/golden/architectures/'].map(
  (path) => new URL(path, import.meta.url),
)

/** Recorded encoders, and decoders that give embeddings. */
export const encoderNames = [
  'bert',
  'roberta',
  'xlm-roberta',
  'modernbert',
  'nomic-bert',
  'eurobert',
  'qwen3-embedding',
]

/** What Hugging Face transformers gave for two texts, in float64. */
export interface EncoderCase {
  readonly folder: string
  readonly pooling: Pooling
  readonly texts: readonly (readonly number[])[]
  /** last hidden states of the tokens of each text */
  readonly hidden: readonly Float32Array[]
  /** pooled and divided by their length */
  readonly vectors: readonly Float32Array[]
}

/** Null where it is not there: it stands beside the project. */
export function encoderCase(name: string): EncoderCase | null {
  const root = roots.find((url) => existsSync(new URL(`${name}/`, url)))
  if (!root) return null
  const folder = new URL(`${name}/`, root)
  const bytes = readFileSync(new URL('golden.safetensors', folder))
  const { tensors, metadata } = readSafetensors(bytes)
  const data = (tensor: string) => {
    const found = tensors[tensor]
    if (!found) throw new Error(`${name}: golden.safetensors has no ${tensor}`)
    return found
  }
  const [rows = 0, length = 0] = data('input_ids').shape
  const width = data('last_hidden_state').shape[2] as number
  const [ids, mask] = [[...data('input_ids').data], [...data('attention_mask').data]]
  const hidden = Float32Array.from(data('last_hidden_state').data)
  const vectors = Float32Array.from(data('embedding').data)
  const counts = Array.from({ length: rows }, (_, row) =>
    mask.slice(row * length, (row + 1) * length).reduce((sum, one) => sum + one, 0),
  )
  return {
    folder: folder.pathname,
    pooling: metadata.pooling as Pooling,
    texts: counts.map((count, row) => ids.slice(row * length, row * length + count)),
    hidden: counts.map((count, row) => hidden.slice(row * length * width, (row * length + count) * width)),
    vectors: counts.map((_, row) => vectors.slice(row * width, (row + 1) * width)),
  }
}
