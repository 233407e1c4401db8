import { weightShapes } from '../../model/architectures/weight-shapes.ts'
import type { Checkpoint } from '../../model/checkpoint.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import { fnv1a64 } from '../../model/files/fingerprint.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { missingTokenizer } from '../../model/tokenizers/missing-tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'

export interface LiveCheckpointOptions {
  readonly spec: DecoderSpec
  /** the weight of a name, row by row */
  read(name: string): Promise<Float32Array>
  /** absent: token ids only */
  readonly tokenizer?: Tokenizer | undefined
  /** "training" */
  readonly source?: string
}

/** Weights in memory as a `Checkpoint`: what `exportSafetensors`, `exportGguf` and `openEngine` take. Closing it does nothing. */
export function liveCheckpoint(options: LiveCheckpointOptions): Checkpoint {
  checkFields('liveCheckpoint', 'options', options, fields)
  const { spec, read, tokenizer, source = 'training' } = options
  const shapes = weightShapes(spec)
  const shapeOf = (where: string, name: string, axes: number): readonly number[] => {
    const shape = shapes.get(name)
    if (shape?.length === axes) return shape
    throw new FoveaError(
      'format',
      where,
      `${source}: ${spec.architecture} has no ${axes === 2 ? 'matrix' : 'vector'} ${name}`,
    )
  }
  const hash = fnv1a64()
  hash.add(new TextEncoder().encode(JSON.stringify([source, spec])))
  return {
    source,
    spec,
    tokenizer: tokenizer ?? missingTokenizer(source, spec),
    fingerprint: hash.digest(),
    byteLength: [...shapes.values()].reduce((sum, shape) => sum + 4 * shape.reduce((n, size) => n * size, 1), 0),
    has: (name) => shapes.has(name),
    matrixInfo(name) {
      const [rows = 0, cols = 0] = shapeOf('matrixInfo', name, 2)
      return { dtype: 'f32', rows, cols }
    },
    async matrix(name) {
      const [rows = 0, cols = 0] = shapeOf('matrix', name, 2)
      const { buffer, byteOffset, byteLength } = await read(name)
      return { dtype: 'f32', rows, cols, bytes: new Uint8Array(buffer, byteOffset, byteLength) }
    },
    async vector(name) {
      shapeOf('vector', name, 1)
      return read(name)
    },
    close: async () => {},
  }
}

const fields: FieldsOf<LiveCheckpointOptions> = { spec: true, read: true, tokenizer: true, source: true }
