import { type WeightDType, weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import { type FileNames, type WeightPlace, weightPlace } from '../architectures/locate-weights.ts'
import { weightShapes } from '../architectures/weight-shapes.ts'
import type { Checkpoint } from '../checkpoint.ts'
import type { TensorToWrite } from '../files/write-safetensors.ts'
import { convertMatrix } from './convert-matrix.ts'

/** A matrix of a file to be written: its tensor's name there, its shape there, and how it is stored in the checkpoint. */
export interface MatrixToStore {
  readonly tensor: string
  readonly shape: readonly number[]
  readonly stored: WeightDType
  /** is it, or is it also, the matrix of the logits? */
  readonly givesLogits: boolean
  /** is it a table of learned positions? */
  readonly givesPositions: boolean
}

/** How a file stores what a checkpoint holds. */
export interface StorageChoice {
  matrix(matrix: MatrixToStore): WeightDType
  vector: WeightDType
  /** added to the weights of normalisations */
  readonly normOffset: number
}

/** A weight of ours that is a file's tensor, or a part of it. */
interface Piece extends WeightPlace {
  readonly name: string
  readonly shape: readonly number[]
}

/**
 * The tensors of a file with these names, made from the weights of a checkpoint when they are written: fused where the
 * file has them fused, rows in the file's order, transposed where it has them so.
 */
export function fileTensors(checkpoint: Checkpoint, names: FileNames, choice: StorageChoice): TensorToWrite[] {
  const { spec } = checkpoint
  const pieces = new Map<string, Piece[]>()
  for (const [name, shape] of weightShapes(spec)) {
    const place = weightPlace(spec, names, name, shape)
    if (!place)
      throw new FoveaError('unsupported', 'fileTensors', `a file of ${spec.architecture} has no place for ${name}`)
    const [tensor] = place.tensors
    if (place.tensors.length > 1)
      throw new FoveaError('unsupported', 'fileTensors', `${name} of ${spec.architecture} lies in several tensors`)
    pieces.set(tensor, [...(pieces.get(tensor) ?? []), { ...place, name, shape }])
  }
  return [...pieces.values()].map((list) => fileTensor(checkpoint, list, choice))
}

function fileTensor(checkpoint: Checkpoint, pieces: readonly Piece[], choice: StorageChoice): TensorToWrite {
  const [first] = pieces
  if (!first) throw new FoveaError('argument', 'fileTensors', 'a tensor is made of one weight at least')
  const { name, stored, stacked = 1 } = first
  // matrices of experts [count, rows, cols], their biases and norms of heads [count, n]
  const shape = stacked > 1 ? [stacked, (stored[0] ?? 0) / stacked, ...stored.slice(1)] : stored
  const [tensor] = first.tensors
  const isMatrix = first.shape.length === 2
  const dtype = isMatrix
    ? choice.matrix({
        tensor,
        shape,
        stored: checkpoint.matrixInfo(name).dtype,
        givesLogits: name === 'lmHead' || (name === 'tokenEmbedding' && checkpoint.spec.logits.tied),
        givesPositions: name === 'positionEmbedding',
      })
    : choice.vector
  const readPiece = (piece: Piece) => readWeight(checkpoint, piece, dtype, choice.normOffset)
  return {
    name: tensor,
    dtype,
    shape,
    async read() {
      if (pieces.length === 1 && !first.part && !first.transposed) return readPiece(first)
      // rows of [outputs, inputs], as they lie before a transposition
      const [rows = 0, cols = 1] = first.transposed ? stored.toReversed() : stored
      const rowSize = (cols / weightBlock[dtype].elements) * weightBlock[dtype].bytes
      const bytes = new Uint8Array(rows * rowSize)
      for (const piece of pieces) {
        const own = await readPiece(piece)
        for (let row = 0; row < (piece.shape[0] ?? 0); row++) {
          const at = piece.part?.rowOf(row) ?? row
          bytes.set(own.subarray(row * rowSize, (row + 1) * rowSize), at * rowSize)
        }
      }
      return first.transposed ? transposed(bytes, rows, cols, weightBlock[dtype].bytes) : bytes
    },
  }
}

async function readWeight(checkpoint: Checkpoint, piece: Piece, dtype: WeightDType, normOffset: number) {
  const { name, shape } = piece
  if (shape.length === 2) return convertMatrix(await checkpoint.matrix(name), dtype).bytes
  const vector = await checkpoint.vector(name)
  const isNorm = /(^finalNorm|\.norms\.\w+|Norm)$/.test(name)
  const values = isNorm && normOffset !== 0 ? vector.map((weight) => weight + normOffset) : vector
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return convertMatrix({ dtype: 'f32', rows: 1, cols: values.length, bytes }, dtype).bytes
}

/** [rows, cols] elements of so many bytes as [cols, rows]. */
function transposed(bytes: Uint8Array, rows: number, cols: number, elementBytes: number): Uint8Array {
  const output = new Uint8Array(bytes.byteLength)
  for (let row = 0; row < rows; row++)
    for (let col = 0; col < cols; col++)
      for (let byte = 0; byte < elementBytes; byte++)
        output[(col * rows + row) * elementBytes + byte] = bytes[(row * cols + col) * elementBytes + byte]!
  return output
}
