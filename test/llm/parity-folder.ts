import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { readSafetensors } from '../conformance/read-safetensors.ts'

const root = new URL('../../../shared/golden/hf/', import.meta.url)

/** Names of the recorded models that stand beside the project. */
export function parityFolders(): string[] {
  return existsSync(root) ? readdirSync(root).sort() : []
}

/** A recorded model of Hugging Face transformers with what it gave, computed in float64. */
export interface ParityCase {
  readonly checkpoint: Checkpoint
  readonly tokens: readonly number[] // [70]
  readonly logits: Float32Array // [70, V]
  /** largest − smallest logit: what errors are relative to */
  readonly spread: number
  readonly greedy: readonly number[] // [24]
}

export async function openParityCase(name: string): Promise<ParityCase> {
  const folder = new URL(`${name}/`, root)
  const { tensors } = readSafetensors(readFileSync(new URL('golden.safetensors', folder)))
  const data = (tensor: string) => {
    const found = tensors[tensor]
    if (!found) throw new Error(`${name}: golden.safetensors has no ${tensor}`)
    return found.data
  }
  const logits = Float32Array.from(data('logits'))
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const x of logits) [low, high] = [Math.min(low, x), Math.max(high, x)]
  return {
    checkpoint: await openCheckpoint(folder.pathname),
    tokens: [...data('input_ids')],
    logits,
    spread: high - low,
    greedy: [...data('greedy')],
  }
}
