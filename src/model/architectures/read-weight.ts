import { type MatrixData, rowBytes, type WeightDType, weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import { isWeightDType, type TensorEntry } from '../files/tensor-table.ts'
import type { WeightLocation } from './locate-weights.ts'

/** Reads a matrix as it is stored, row by row [outputs, inputs]; of a fused tensor only the rows that are asked for. */
export async function readMatrix({ entries, shape, part, transposed }: WeightLocation): Promise<MatrixData> {
  const [all = 0, cols = 0] = shape
  const rows = all / entries.length
  const [first] = entries
  const { dtype, bytes } = await readOne(first, [rows, cols], part, transposed)
  if (entries.length === 1) return { dtype, rows, cols, bytes }
  const joined = new Uint8Array(entries.length * bytes.byteLength)
  joined.set(bytes)
  for (const [i, entry] of entries.entries())
    if (i > 0) joined.set((await readOne(entry, [rows, cols], part, transposed)).bytes, i * bytes.byteLength)
  return { dtype, rows: all, cols, bytes: joined }
}

/** Rows `from` … to − 1 of a matrix; one that a file has in pieces or turned round is read whole for them. */
export async function readMatrixRows(location: WeightLocation, from: number, to: number): Promise<MatrixData> {
  const { entries, shape, part, transposed } = location
  const cols = shape[1] ?? 0
  const [entry] = entries
  const dtype = entry.dtype as WeightDType
  const size = rowBytes('matrixRows', dtype, cols)
  if (entries.length > 1 || transposed) {
    const { bytes } = await readMatrix(location)
    return { dtype, rows: to - from, cols, bytes: bytes.subarray(from * size, to * size) }
  }
  const rowOf = (row: number) => part?.rowOf(from + row) ?? from + row
  return { dtype, rows: to - from, cols, bytes: await readRows(entry, to - from, rowOf, size) }
}

async function readOne(
  entry: TensorEntry,
  [rows, cols]: readonly [number, number],
  part: WeightLocation['part'],
  transposed: boolean,
): Promise<{ readonly dtype: WeightDType; readonly bytes: Uint8Array }> {
  const dtype = entry.dtype as WeightDType
  if (transposed) {
    if (weightBlock[dtype].elements > 1)
      throw new FoveaError('unsupported', 'matrix', `${entry.name}: ${dtype} stored [inputs, outputs]`)
    const wanted = Array.from({ length: rows }, (_, row) => part?.rowOf(row) ?? row)
    const outputs = (part?.rows ?? rows) / (entry.shape.length === 3 ? (entry.shape[0] ?? 1) : 1)
    return { dtype, bytes: transposedRows(await entry.read(), wanted, cols, outputs, weightBlock[dtype].bytes) }
  }
  const bytes = part ? await readRows(entry, rows, part.rowOf, rowBytes('matrix', dtype, cols)) : await entry.read()
  return { dtype, bytes }
}

/** Reads a vector, widened to f32. */
export async function readVector({ entries, shape, part }: WeightLocation): Promise<Float32Array> {
  const each = (shape[0] ?? 0) / entries.length
  const values = new Float32Array(shape[0] ?? 0)
  for (const [i, entry] of entries.entries()) values.set(await readOneVector(entry, each, part), i * each)
  return values
}

async function readOneVector(entry: TensorEntry, size: number, part: WeightLocation['part']): Promise<Float32Array> {
  const { dtype } = entry
  if (!isWeightDType(dtype) || weightBlock[dtype].elements > 1)
    throw new FoveaError(
      'format',
      'vector',
      `${entry.name} is a vector of ${entry.storedAs}; F32, F16 and BF16 are read`,
    )
  const bytes = part ? await readRows(entry, size, part.rowOf, weightBlock[dtype].bytes) : await entry.read()
  return widened(dtype, bytes)
}

/** Rows in the order asked for: in one piece where they lie close together, else a read for each run. */
async function readRows(
  entry: TensorEntry,
  count: number,
  rowOf: (row: number) => number,
  bytesPerRow: number,
): Promise<Uint8Array> {
  const rows = Array.from({ length: count }, (_, row) => rowOf(row))
  const first = rows.reduce((least, row) => Math.min(least, row), Number.POSITIVE_INFINITY)
  const last = rows.reduce((most, row) => Math.max(most, row), 0)
  const inOrder = rows.every((row, index) => row === first + index)
  if (inOrder) return entry.readRows(first, first + count)

  const output = new Uint8Array(count * bytesPerRow)
  if (last + 1 - first <= count) {
    const span = await entry.readRows(first, last + 1)
    for (const [index, row] of rows.entries())
      output.set(span.subarray((row - first) * bytesPerRow, (row + 1 - first) * bytesPerRow), index * bytesPerRow)
    return output
  }
  for (let index = 0; index < count; ) {
    const from = rows[index] ?? 0
    let length = 1
    while (rows[index + length] === from + length) length++
    output.set(await entry.readRows(from, from + length), index * bytesPerRow)
    index += length
  }
  return output
}

/** Columns `wanted` of [inputs, outputs] elements, as rows; of several such matrices, numbered through them. */
function transposedRows(
  bytes: Uint8Array,
  wanted: readonly number[],
  inputs: number,
  outputs: number,
  elementBytes: number,
): Uint8Array {
  // a copy where the bytes do not lie as words do
  const aligned = bytes.byteOffset % elementBytes === 0 ? bytes : bytes.slice()
  const Words = elementBytes === 4 ? Uint32Array : Uint16Array
  const from = new Words(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / elementBytes)
  const to = new Words(wanted.length * inputs)
  for (const [row, column] of wanted.entries()) {
    const first = Math.floor(column / outputs) * inputs * outputs + (column % outputs)
    for (let input = 0; input < inputs; input++) to[row * inputs + input] = from[first + input * outputs] ?? 0
  }
  return new Uint8Array(to.buffer)
}

function widened(dtype: WeightDType, bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = bytes.byteLength / weightBlock[dtype].bytes
  const output = new Float32Array(size)
  for (let i = 0; i < size; i++)
    if (dtype === 'f32') output[i] = view.getFloat32(4 * i, true)
    else if (dtype === 'f16') output[i] = halfToFloat(view.getUint16(2 * i, true))
  if (dtype === 'bf16') {
    // a bf16 is the upper half of an f32
    const words = new Uint32Array(output.buffer)
    for (let i = 0; i < size; i++) words[i] = view.getUint16(2 * i, true) << 16
  }
  return output
}

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
