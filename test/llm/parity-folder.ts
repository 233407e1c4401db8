import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { architectures } from '../../src/model/architectures/find-architecture.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { readSafetensors } from '../conformance/read-safetensors.ts'

const roots = ['hf', 'architectures'].map((name) => new URL(`../../../shared/golden/${name}/`, import.meta.url))

/** those of the second folder that have kernels which no other has */
const withOwnKernels: readonly string[] = ['minicpm3']

/**
 * Names of the recorded models that stand beside the project, of architectures that are known. On software adapters most
 * take long: there, those of the second folder that differ in what they compute, and not only in how it is put together.
 */
export function parityFolders(kind: 'wasm' | 'webgpu'): string[] {
  const taken = roots.flatMap((root, i) => {
    const names = existsSync(root) ? readdirSync(root).sort() : []
    return i === 0 || kind === 'wasm' ? names : names.filter((name) => withOwnKernels.includes(name))
  })
  return taken.filter(isDecoder)
}

/** Is it a decoder, and of a known architecture? */
function isDecoder(name: string): boolean {
  const config = new URL('config.json', folderOf(name))
  if (!existsSync(config)) return false
  const { model_type: type } = JSON.parse(readFileSync(config, 'utf8')) as { model_type?: string }
  if (!architectures.some(({ modelTypes }) => modelTypes.includes(type ?? ''))) return false
  return 'logits' in readSafetensors(readFileSync(new URL('golden.safetensors', folderOf(name)))).tensors
}

function folderOf(name: string): URL {
  const root = roots.find((candidate) => existsSync(new URL(`${name}/`, candidate)))
  return new URL(`${name}/`, root ?? roots[0])
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
  const folder = folderOf(name)
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
