import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { architectures } from '../../src/model/architectures/find-architecture.ts'
import { weightPlace } from '../../src/model/architectures/locate-weights.ts'
import { weightShapes } from '../../src/model/architectures/weight-shapes.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import type { BatchSource } from '../../src/train/data/batch.ts'
import { readSafetensors } from '../conformance/read-safetensors.ts'

const root = new URL('../../../shared/golden/', import.meta.url)

/** Names of the recorded training runs that stand beside the project. */
export function recordedRuns(): string[] {
  const folder = new URL('train/', root)
  return existsSync(folder)
    ? readdirSync(folder)
        .map((file) => file.replace('.safetensors', ''))
        .sort()
    : []
}

/** Twelve steps of PyTorch in float64 from a small model of Hugging Face transformers. */
export interface RecordedRun {
  readonly checkpoint: Checkpoint
  readonly losses: readonly number[] // [12]
  readonly gradientNorms: readonly number[] // [12]
  /** batches of 4 rows of 48 tokens, again from the start after twelve */
  source(): BatchSource
  /** gradients of the first step before clipping, by our names; empty where none were recorded */
  readonly gradients: ReadonlyMap<string, Float32Array>
  /** names of the parameters that Muon updates */
  readonly muonNames: ReadonlySet<string>
}

export async function openRecordedRun(name: string): Promise<RecordedRun> {
  const { tensors, metadata } = readSafetensors(readFileSync(new URL(`train/${name}.safetensors`, root)))
  const checkpoint = await openCheckpoint(new URL(`hf/${metadata.model}/`, root).pathname)
  const { spec } = checkpoint
  const architecture = architectures.find((known) => known.name === spec.architecture)
  if (!architecture) throw new Error(`${name}: unknown architecture`)
  const { prefixes, head, names } = architecture.weights
  const gradients = new Map<string, Float32Array>()
  const muon = new Set(Array.isArray(metadata.muonParameters) ? metadata.muonParameters : [])
  const muonNames = new Set<string>()
  for (const [ours, shape] of weightShapes(spec)) {
    const place = weightPlace(spec, { names, prefix: prefixes[0] ?? '', head: head[0] ?? '' }, ours, shape)
    if (!place) throw new Error(`${name}: no place for ${ours}`)
    if (muon.has(place.tensors[0])) muonNames.add(ours)
    const stored = tensors[`grad.${place.tensors[0]}`]
    if (!stored) continue
    const [rows = 0, cols = 1] = shape
    const [storedRows = 0, storedCols = 1] = stored.shape
    const data = new Float32Array(rows * cols)
    for (let row = 0; row < rows; row++) {
      const at = place.part?.rowOf(row) ?? row
      for (let col = 0; col < cols; col++)
        data[row * cols + col] = stored.data[place.transposed ? col * storedCols + at : at * storedCols + col] as number
    }
    if (!place.part && storedRows * storedCols !== data.length) throw new Error(`${name}: shape of ${ours}`)
    gradients.set(ours, data)
  }
  const recorded = (tensor: string) => [...(tensors[tensor]?.data ?? [])]
  const tokens = tensors.tokens?.data as Int32Array
  return {
    checkpoint,
    losses: recorded('losses'),
    gradientNorms: recorded('gradNorms'),
    source: () => recordedBatches(tokens),
    gradients,
    muonNames,
  }
}

/** tokens [12, 4, 49]: a row's first 48 are read, its last 48 foretold */
function recordedBatches(tokens: Int32Array): BatchSource {
  const [batch, length] = [4, 48]
  let step = 0
  return {
    batch,
    length,
    next() {
      const at = (row: number, column: number) => tokens[((step % 12) * batch + row) * (length + 1) + column] as number
      const list = (shift: number) =>
        Int32Array.from({ length: batch * length }, (_, i) => at(Math.floor(i / length), (i % length) + shift))
      const made = { inputs: list(0), targets: list(1) }
      step++
      return made
    },
    state: () => step,
    restore(state) {
      step = state as number
    },
  }
}
