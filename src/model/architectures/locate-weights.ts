import { weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import { isWeightDType, type TensorEntry, type TensorTable } from '../files/tensor-table.ts'
import type { Architecture, FileWeight, RowsOfTensor, StoredWeight, WeightNames } from './architecture.ts'

/** What of a specification decides where its weights lie. */
export interface LayeredSpec {
  readonly architecture: string
  readonly layers: readonly LayerSpec[]
}

/** Where one of our weights lies in a file. */
export interface WeightLocation {
  /** the tensor, or the tensors that make it, of one dtype and size */
  readonly entries: readonly [TensorEntry, ...TensorEntry[]]
  /** ours: [outputs, inputs] or [n] */
  readonly shape: readonly number[]
  /** which rows of each tensor are ours, null for all as they lie */
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
    const known = namesOf(weights.names[name] ?? '')
    return weights.prefixes.find((candidate) => known.some((given) => table.has(`${candidate}${given}.weight`)))
  }
  const found = weights.head.find((candidate) => table.has(`${candidate}.weight`))
  const withEmbedding = prefixBefore('tokenEmbedding')
  const prefix = withEmbedding ?? prefixBefore('finalNorm') ?? weights.prefixes[0] ?? ''
  const names = { names: settled(table, weights.names, prefix), prefix, head: found ?? weights.head[0] ?? '' }
  return tied && withEmbedding === undefined && found !== undefined ? { ...names, embedding: found } : names
}

/** The names with one for each weight: of several the first that the file has, in its first layer that has one. */
function settled(table: TensorTable, names: Architecture['weights']['names'], prefix: string): WeightNames {
  const open = Object.entries(names).filter(([, weight]) => namesOf(weight).length > 1)
  if (open.length === 0) return names
  // digits stand for layers and experts
  const there = new Set(table.names().map((name) => name.replace(/\b\d+\b/g, '#')))
  const has = (name: string, { bare = false }: StoredWeight) =>
    there.has(`${prefix}${name.replace(/\b[NE]\b/g, '#')}${bare ? '' : '.weight'}`)
  const found = open.map(([ours, weight]) => {
    const stored = weight as StoredWeight
    const [first] = namesOf(stored)
    return [ours, { ...stored, tensor: namesOf(stored).find((name) => has(name, stored)) ?? first ?? '' }] as const
  })
  return { ...names, ...Object.fromEntries(found) }
}

/** What a file calls one of our weights, and how it lies there. */
export interface WeightPlace {
  /** names of its tensors, `.weight` or `.bias` included */
  readonly tensors: readonly [string, ...string[]]
  /** shape of each tensor */
  readonly stored: readonly number[]
  readonly part: RowsOfTensor | null
  readonly transposed: boolean
  /** how many lie in the tensor, where it has an axis for them */
  readonly stacked?: number
}

/** Where a weight of this name and shape lies in a file of these names; undefined where the architecture has none. */
export function weightPlace(
  spec: LayeredSpec,
  { names, prefix, head, embedding }: FileNames,
  name: string,
  shape: readonly number[],
): WeightPlace | undefined {
  const base = name.replace(/\.bias$/, '')
  const index = /^layers\.(\d+)/.exec(base)?.[1]
  const known = names[base.replace(/^layers\.\d+/, 'layers.N')]
  if (known === undefined && base !== 'lmHead') return undefined
  const whole = base === 'tokenEmbedding' ? embedding : known === undefined ? head : undefined
  const weight: StoredWeight = typeof known === 'object' ? known : { tensor: known ?? '' }
  const { bare = false, transposed = false } = weight
  const isBias = base !== name
  const suffix = bare ? (isBias ? '_bias' : '') : isBias ? '.bias' : '.weight'
  // "N" alone is the layer; that of "LayerNorm" is none
  const [own = ''] = namesOf(weight)
  const inFile = whole ?? `${prefix}${own.replace(/\bN\b/, index ?? 'N')}`

  const layer = index === undefined ? undefined : spec.layers[Number(index)]
  const part = (layer && weight.part?.(layer)) ?? null
  const count = (layer && weight.each?.(layer)) ?? 1
  const tensors = Array.from({ length: count }, (_, e) => `${inFile.replace(/\bE\b/, String(e))}${suffix}`)
  const rows = [part?.rows ?? (shape[0] ?? 0) / count, ...shape.slice(1)]
  const turned = transposed && shape.length === 2
  const stacked = layer && weight.stacked?.(layer)
  return {
    tensors: tensors as [string, ...string[]],
    stored: turned ? rows.toReversed() : rows,
    part,
    transposed: turned,
    ...(stacked !== undefined && { stacked }),
  }
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
  const { tensors, stored, part, transposed } = place
  const entries = tensors.map((tensor) => {
    if (!table.has(tensor)) throw fault(`the tensor ${tensor} is missing`)
    return checked(table.get(tensor), fault)
  })
  const [entry] = entries as [TensorEntry]
  const spare = rowsToSpare(name, entry, stored)
  if (spare) return { entries: [entry], shape, part: spare, transposed }
  const shaped = entries.map((given) => {
    const fitting = fittingShape(given.shape, stored, transposed)
    if (!fitting) throw fault(`${given.name} must be [${stored.join(', ')}], got [${given.shape.join(', ')}]`)
    if (given.dtype !== entry.dtype) throw fault(`${given.name} is ${given.storedAs}, ${entry.name} ${entry.storedAs}`)
    return fitting === given.shape ? given : given.reshaped(fitting)
  })
  return { entries: shaped as [TensorEntry, ...TensorEntry[]], shape, part, transposed }
}

/**
 * The shape that a tensor is read in: its own where it is the one wanted; vectors may have more axes (a norm of heads
 * [heads, width], a number []), matrices may stand several in one tensor [count, rows, columns]. Null for others.
 */
function fittingShape(
  shape: readonly number[],
  wanted: readonly number[],
  transposed: boolean,
): readonly number[] | null {
  if (shape.join() === wanted.join()) return shape
  const size = (of: readonly number[]) => of.reduce((product, count) => product * count, 1)
  if (wanted.length === 1) return size(shape) === wanted[0] ? wanted : null
  const [count = 0, rows = 0, cols = 0] = shape
  if (shape.length !== 3) return null
  if (!transposed) return count * rows === wanted[0] && cols === wanted[1] ? wanted : null
  return rows === wanted[0] && count * cols === wanted[1] ? shape : null
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

/** The names that a weight may have in a file. */
function namesOf(weight: FileWeight): readonly string[] {
  const names = typeof weight === 'string' ? weight : weight.tensor
  return typeof names === 'string' ? [names] : names
}
