import { weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import { isWeightDType, type TensorEntry, type TensorTable } from '../files/tensor-table.ts'
import type { Architecture, FileWeight, RowsOfTensor } from './architecture.ts'

/** What of a specification decides where its weights lie. */
export interface LayeredSpec {
  readonly architecture: string
  readonly layers: readonly LayerSpec[]
}

/** Where one of our weights lies in a file. */
export interface WeightLocation {
  readonly entry: TensorEntry
  /** ours: [outputs, inputs] or [n] */
  readonly shape: readonly number[]
  /** which rows of the tensor are ours, null for all as they lie */
  readonly part: RowsOfTensor | null
  readonly transposed: boolean
}

/** The names of a file: what its architecture calls a weight, and what stands before and after it. */
export interface FileNames {
  readonly names: Architecture['weights']['names']
  readonly prefix: string
  /** of the head, without `.weight` */
  readonly head: string
  /** of an embedding that the file has as the head alone, the two being tied */
  readonly embedding?: string
}

/**
 * Finds every weight of `shapes` (by our names), and checks that it is there with the shape that it must have.
 *
 * Throws `format` naming file and tensor: missing, of the wrong shape, of a dtype that no weight has.
 */
export function locateWeights(
  table: TensorTable,
  spec: LayeredSpec,
  shapes: ReadonlyMap<string, readonly number[]>,
  names: FileNames,
): ReadonlyMap<string, WeightLocation> {
  const located = new Map<string, WeightLocation>()
  for (const [name, shape] of shapes) located.set(name, locate(table, spec, names, name, shape))
  return located
}

/** The prefix and the head that a file of an architecture has, of those that it may have; `tied`: one may stand for both. */
export function fileNamesOf(table: TensorTable, { weights }: Architecture, tied: boolean): FileNames {
  const prefixBefore = (name: string) => {
    const known = tensorName(weights.names[name] ?? '')
    return weights.prefixes.find((candidate) => table.has(`${candidate}${known}.weight`))
  }
  const found = weights.head.find((candidate) => table.has(`${candidate}.weight`))
  const withEmbedding = prefixBefore('tokenEmbedding')
  const prefix = withEmbedding ?? prefixBefore('finalNorm') ?? weights.prefixes[0] ?? ''
  const names = { names: weights.names, prefix, head: found ?? weights.head[0] ?? '' }
  return tied && withEmbedding === undefined && found !== undefined ? { ...names, embedding: found } : names
}

/** What a file calls one of our weights, and how it lies there. */
export interface WeightPlace {
  /** name of the tensor, `.weight` or `.bias` included */
  readonly tensor: string
  /** shape of the tensor */
  readonly stored: readonly number[]
  readonly part: RowsOfTensor | null
  readonly transposed: boolean
}

/** Where a weight of this name and shape lies in a file of these names; undefined where the architecture has none. */
export function weightPlace(
  spec: LayeredSpec,
  { names, prefix, head, embedding }: FileNames,
  name: string,
  shape: readonly number[],
): WeightPlace | undefined {
  const base = name.replace(/\.bias$/, '')
  const suffix = base === name ? '.weight' : '.bias'
  const index = /^layers\.(\d+)/.exec(base)?.[1]
  const known = names[base.replace(/^layers\.\d+/, 'layers.N')]
  if (known === undefined && base !== 'lmHead') return undefined
  const whole = base === 'tokenEmbedding' ? embedding : known === undefined ? head : undefined
  // "N" alone is the layer; that of "LayerNorm" is none
  const inFile = whole ?? `${prefix}${tensorName(known ?? '').replace(/\bN\b/, index ?? 'N')}`

  const layer = index === undefined ? undefined : spec.layers[Number(index)]
  const part = (typeof known === 'object' && layer && known.part?.(layer)) || null
  const transposed = typeof known === 'object' && known.transposed === true && shape.length === 2
  const rows = part ? [part.rows, ...shape.slice(1)] : shape
  return { tensor: `${inFile}${suffix}`, stored: transposed ? rows.toReversed() : rows, part, transposed }
}

function locate(
  table: TensorTable,
  spec: LayeredSpec,
  names: FileNames,
  name: string,
  shape: readonly number[],
): WeightLocation {
  const fault = (message: string) => new FoveaError('format', 'openCheckpoint', `${table.source}: ${message}`)
  const place = weightPlace(spec, names, name, shape)
  if (!place) throw fault(`${spec.architecture} has no tensor for ${name}`)
  const { tensor, stored, part, transposed } = place
  if (!table.has(tensor)) throw fault(`the tensor ${tensor} is missing`)
  const entry = table.get(tensor)
  const spare = rowsToSpare(name, entry, stored)
  if (spare) return { entry: checked(entry, fault), shape, part: spare, transposed }
  if (entry.shape.length !== stored.length || entry.shape.some((size, axis) => size !== stored[axis]))
    throw fault(`${entry.name} must be [${stored.join(', ')}], got [${entry.shape.join(', ')}]`)
  return { entry: checked(entry, fault), shape, part, transposed }
}

function checked(entry: TensorEntry, fault: (message: string) => FoveaError): TensorEntry {
  if (isWeightDType(entry.dtype)) return entry
  const read = Object.keys(weightBlock).join(', ')
  throw fault(`${entry.name} is ${entry.storedAs}, which is not read as a weight; ${read} are`)
}

/** Embeddings and heads may have more rows than there are tokens, which are left where they are. */
function rowsToSpare(name: string, { shape }: TensorEntry, stored: readonly number[]): RowsOfTensor | null {
  const [rows = 0, cols] = shape
  if (!['tokenEmbedding', 'lmHead'].includes(name) || shape.length !== 2 || cols !== stored[1]) return null
  return rows > (stored[0] ?? 0) ? { rows, rowOf: (row) => row } : null
}

function tensorName(weight: FileWeight): string {
  return typeof weight === 'string' ? weight : weight.tensor
}
