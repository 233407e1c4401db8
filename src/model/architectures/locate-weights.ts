import { weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import { isWeightDType, type TensorEntry, type TensorTable } from '../files/tensor-table.ts'
import type { Architecture, FileWeight, RowsOfTensor } from './architecture.ts'
import { weightShapes } from './weight-shapes.ts'

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
}

/**
 * Finds every weight that the specification asks for, and checks that it is there with the shape that it must have.
 *
 * Throws `format` naming file and tensor: missing, of the wrong shape, of a dtype that no weight has.
 */
export function locateWeights(
  table: TensorTable,
  spec: DecoderSpec,
  names: FileNames,
): ReadonlyMap<string, WeightLocation> {
  const located = new Map<string, WeightLocation>()
  for (const [name, shape] of weightShapes(spec)) located.set(name, locate(table, spec, names, name, shape))
  return located
}

/** The prefix and the head that a file of an architecture has, of those that it may have. */
export function fileNamesOf(table: TensorTable, { weights }: Architecture): FileNames {
  const embedding = tensorName(weights.names.tokenEmbedding ?? '')
  const prefix =
    weights.prefixes.find((candidate) => table.has(`${candidate}${embedding}.weight`)) ?? weights.prefixes[0]
  const head = weights.head.find((candidate) => table.has(`${candidate}.weight`)) ?? weights.head[0]
  return { names: weights.names, prefix: prefix ?? '', head: head ?? '' }
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
  spec: DecoderSpec,
  { names, prefix, head }: FileNames,
  name: string,
  shape: readonly number[],
): WeightPlace | undefined {
  const base = name.replace(/\.bias$/, '')
  const suffix = base === name ? '.weight' : '.bias'
  const index = /^layers\.(\d+)/.exec(base)?.[1]
  const known = names[base.replace(/^layers\.\d+/, 'layers.N')]
  if (known === undefined && base !== 'lmHead') return undefined
  const inFile = known === undefined ? head : `${prefix}${tensorName(known).replace('N', index ?? '')}`

  const layer = index === undefined ? undefined : spec.layers[Number(index)]
  const part = (typeof known === 'object' && layer && known.part?.(layer)) || null
  const transposed = typeof known === 'object' && known.transposed === true && shape.length === 2
  const rows = part ? [part.rows, ...shape.slice(1)] : shape
  return { tensor: `${inFile}${suffix}`, stored: transposed ? rows.toReversed() : rows, part, transposed }
}

function locate(
  table: TensorTable,
  spec: DecoderSpec,
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
  if (entry.shape.length !== stored.length || entry.shape.some((size, axis) => size !== stored[axis]))
    throw fault(`${entry.name} must be [${stored.join(', ')}], got [${entry.shape.join(', ')}]`)
  if (!isWeightDType(entry.dtype)) {
    const read = Object.keys(weightBlock).join(', ')
    throw fault(`${entry.name} is ${entry.storedAs}, which is not read as a weight; ${read} are`)
  }
  return { entry, shape, part, transposed }
}

function tensorName(weight: FileWeight): string {
  return typeof weight === 'string' ? weight : weight.tensor
}
