import { readFileSync } from 'node:fs'
import { configFields } from '../../src/model/architectures/config-fields.ts'
import { findArchitecture } from '../../src/model/architectures/find-architecture.ts'
import { weightShapes } from '../../src/model/architectures/weight-shapes.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { randomNumbers } from '../numerics/random.ts'
import { letters } from '../peers/letters.ts'
import { parityFolder } from './parity-folder.ts'

/** The configuration of a recorded model with other fields. */
export function changedConfig(name: string, changes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const config = JSON.parse(readFileSync(`${parityFolder(name, 'architectures')}config.json`, 'utf8'))
  return { ...config, ...changes }
}

/** A model of a configuration with weights out of the air, the same ones each time, and a letter for each token. */
export function madeCheckpoint(config: Readonly<Record<string, unknown>>): Checkpoint {
  const architecture = findArchitecture('made', 'model_type', String(config.model_type))
  const spec = architecture.spec(configFields('made', config), {})
  const shapes = weightShapes(spec)
  const values = new Map<string, Float32Array>()
  const random = randomNumbers(1)
  const { names } = architecture.weights
  // one norm of both sublayers is one tensor
  const twin = names['layers.N.norms.beforeMlp'] === names['layers.N.norms.beforeAttention']
  for (const [name, shape] of shapes) {
    const size = shape.reduce((product, count) => product * count, 1)
    const [center, spread] = spreadOf(name, shape)
    const shared = twin && values.get(name.replace('.norms.beforeMlp', '.norms.beforeAttention'))
    values.set(name, shared || Float32Array.from({ length: size }, () => center + spread * random()))
  }
  const valuesOf = (name: string) => values.get(name) ?? new Float32Array()
  const bytesOf = (part: Float32Array) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
  const matrixRows = async (name: string, from: number, to: number) => {
    const cols = shapes.get(name)?.[1] ?? 0
    const bytes = bytesOf(valuesOf(name).subarray(from * cols, to * cols))
    return { dtype: 'f32', rows: to - from, cols, bytes } as const
  }
  const checkpoint = {
    source: 'made',
    fingerprint: JSON.stringify(config),
    byteLength: [...values.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    spec,
    has: (name: string) => shapes.has(name),
    matrixInfo: (name: string) => {
      const [rows = 0, cols = 0] = shapes.get(name) ?? []
      return { dtype: 'f32' as const, rows, cols }
    },
    matrix: async (name: string) => matrixRows(name, 0, shapes.get(name)?.[0] ?? 0),
    matrixRows,
    vector: async (name: string) => valuesOf(name),
    close: async () => {},
  }
  return { ...checkpoint, tokenizer: letters({ spec }) }
}

/** Weights of norms about 1, biases about 0, matrices so that what they make is about as large as what they are given. */
function spreadOf(name: string, shape: readonly number[]): readonly [center: number, spread: number] {
  if (shape.length === 2) return [0, name === 'tokenEmbedding' ? 1.5 : 2.5 / Math.sqrt(shape[1] ?? 1)]
  return /(^finalNorm|\.norms\.\w+|Norm)$/.test(name) ? [1, 0.5] : [0, 0.3]
}
