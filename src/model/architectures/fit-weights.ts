import type { DecoderSpec } from '../decoder-spec.ts'
import type { TensorEntry, TensorTable } from '../files/tensor-table.ts'
import { type FileNames, weightPlace } from './locate-weights.ts'

/** bytes that are compared at a time */
const sliceBytes = 4 * 1024 * 1024

/**
 * The specification with what the tensors know better than the configuration.
 *
 * A head that is there although it is said to be tied is used, unless it is the embedding over again: so transformers 5
 * does it, and a head that was trained or merged on its own is not lost. Both are read for it, as far as they agree.
 *
 * The vocabulary is as large as the rows that are there: rows beyond the stated one stand for nothing and are left out
 * (padding), tokens beyond the rows (a <pad> added to the tokenizer alone) cannot be given to the model.
 */
export async function fitWeights(table: TensorTable, spec: DecoderSpec, names: FileNames): Promise<DecoderSpec> {
  const entryOf = (name: string): TensorEntry | null => {
    const tensor = weightPlace(spec, names, name, [spec.vocabSize, spec.hiddenSize])?.tensors[0]
    return tensor !== undefined && table.has(tensor) ? table.get(tensor) : null
  }
  const [embedding, head] = [entryOf('tokenEmbedding'), entryOf('lmHead')]
  const tied = spec.logits.tied && !(embedding && head && !(await isSame(embedding, head)))
  const matrices = [embedding, tied ? null : head].filter((entry) => entry?.shape.length === 2)
  const rows = matrices.map((entry) => entry?.shape[0] ?? 0).filter((count) => count > 0)
  return { ...spec, vocabSize: Math.min(spec.vocabSize, ...rows), logits: { ...spec.logits, tied } }
}

async function isSame(one: TensorEntry, other: TensorEntry): Promise<boolean> {
  if (one.name === other.name) return true
  if (one.dtype !== other.dtype || one.shape.join() !== other.shape.join()) return false
  const rows = one.shape[0] ?? 0
  const step = Math.max(1, Math.floor((sliceBytes * rows) / Math.max(1, one.byteLength)))
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step)
    const [left, right] = await Promise.all([one.readRows(from, to), other.readRows(from, to)])
    if (left.some((byte, i) => byte !== right[i])) return false
  }
  return true
}
