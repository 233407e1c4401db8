import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { readSafetensors } from '../conformance/read-safetensors.ts'

/** Recorded models: twelve and many beside the project, and one of the many in it. */
const roots = {
  hf: new URL('../../../shared/golden/hf/', import.meta.url),
  architectures: new URL('../../../shared/golden/architectures/', import.meta.url),
  copied: new URL('../golden/architectures/', import.meta.url),
} as const

export type ParityRoot = keyof typeof roots

/** Names of the recorded models of a root; none where it is not there. */
export function parityFolders(root: ParityRoot = 'hf'): string[] {
  if (!existsSync(roots[root])) return []
  return readdirSync(roots[root], { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
}

export function parityFolder(name: string, root: ParityRoot): string {
  return new URL(`${name}/`, roots[root]).pathname
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

export async function openParityCase(name: string, root: ParityRoot = 'hf'): Promise<ParityCase> {
  const folder = parityFolder(name, root)
  const { tensors } = readSafetensors(readFileSync(`${folder}golden.safetensors`))
  const data = (tensor: string) => {
    const found = tensors[tensor]
    if (!found) throw new Error(`${name}: golden.safetensors has no ${tensor}`)
    return found.data
  }
  const logits = Float32Array.from(data('logits'))
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const x of logits) [low, high] = [Math.min(low, x), Math.max(high, x)]
  return {
    checkpoint: await openCheckpoint(folder),
    tokens: [...data('input_ids')],
    logits,
    spread: high - low,
    greedy: [...data('greedy')],
  }
}
