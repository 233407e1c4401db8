import type { WeightDType } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { Checkpoint, WeightSource } from '../checkpoint.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import { fnv1a64 } from '../files/fingerprint.ts'
import type { TensorTable } from '../files/tensor-table.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { type FileNames, type LayeredSpec, locateWeights, type WeightLocation } from './locate-weights.ts'
import { readMatrix, readMatrixRows, readVector } from './read-weight.ts'
import { weightShapes } from './weight-shapes.ts'

/**
 * The checkpoint of a table of tensors whose names and specification are known. All weights are looked up at once, none
 * is read. Closing it closes the table.
 *
 * Throws `format`: what `locateWeights` throws. The tokenizer may have more tokens than the embedding has rows: they can be
 * decoded, and are refused where they are given to the model.
 */
export async function checkpointOver(
  source: string,
  table: TensorTable,
  spec: DecoderSpec,
  tokenizer: Tokenizer,
  names: FileNames,
): Promise<Checkpoint> {
  const located = locateWeights(table, spec, weightShapes(spec), names)
  return { ...(await weightsOver(source, table, spec, located)), spec, tokenizer }
}

/** Weights of a table that were located, without reading any. */
export async function weightsOver(
  source: string,
  table: TensorTable,
  spec: LayeredSpec,
  located: ReadonlyMap<string, WeightLocation>,
): Promise<WeightSource> {
  const used = new Set([...located.values()].flatMap(({ entries }) => entries))
  const find = (where: string, name: string, axes: number): WeightLocation => {
    const location = located.get(name)
    if (location?.shape.length === axes) return location
    const kind = axes === 2 ? 'matrix' : 'vector'
    throw new FoveaError('format', where, `${source}: ${spec.architecture} has no ${kind} ${name}`)
  }
  return {
    source,
    fingerprint: `${await table.fingerprint()}-${specHash(spec)}`,
    byteLength: [...used].reduce((sum, entry) => sum + entry.byteLength, 0),
    has: (name) => located.has(name),
    matrixInfo(name) {
      const { entries, shape } = find('matrixInfo', name, 2)
      // a weight's dtype is checked when it is located
      return { dtype: entries[0].dtype as WeightDType, rows: shape[0] ?? 0, cols: shape[1] ?? 0 }
    },
    matrix: async (name) => readMatrix(find('matrix', name, 2)),
    matrixRows: async (name, from, to) => readMatrixRows(find('matrix', name, 2), from, to),
    vector: async (name) => readVector(find('vector', name, 1)),
    close: () => table.close(),
  }
}

/** Keys in a cache depend on what the specification says, such as the rotary factors chosen for a context. */
function specHash(spec: LayeredSpec): string {
  const hash = fnv1a64()
  hash.add(new TextEncoder().encode(JSON.stringify(spec)))
  return hash.digest()
}
