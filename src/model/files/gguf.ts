import { weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { ByteSource } from './byte-source.ts'
import type { GgufTensorInfo } from './gguf-header.ts'
import { readGgufHeader } from './gguf-header.ts'
import type { GgufValue } from './gguf-types.ts'
import { ggmlType } from './gguf-types.ts'
import { shown } from './shown.ts'
import { ggufParts, joinParts, type OpenBeside, partOf } from './split-gguf.ts'
import type { TensorPlace, TensorTable } from './tensor-table.ts'
import { isWeightDType, tensorBytes, tensorTable } from './tensor-table.ts'

/** The tensors of a GGUF file with its metadata: `general.architecture`, `tokenizer.ggml.tokens` … */
export interface GgufTable extends TensorTable {
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufValue>
}

const defaultAlignment = 32

/**
 * Opens a GGUF file of version 2 or 3. Shapes are turned round to outermost first, as PyTorch writes them; names and the
 * order of rows stay as llama.cpp has them.
 *
 * The header is read and checked whole, the data when asked for. The source is taken over: closing the table closes it,
 * and so does a failure. Throws `format` naming file and field: what `readGgufHeader` refuses, an alignment that is no
 * power of two up to 2^30, a name twice, rows that are no whole number of blocks, tensors that overlap, are not aligned or
 * reach beyond the file. A tensor of a type that is not known here is `opaque`, with the bytes up to the next one: it matters
 * where it is asked for.
 *
 * The first part of a split model (`name-00001-of-00003.gguf`) gives the tensors of all; the others are opened by
 * `openBeside`, given their names. Throws `format` naming a part that is missing, or where they cannot be opened.
 */
export async function openGguf(source: ByteSource, openBeside: OpenBeside | null = null): Promise<GgufTable> {
  const first = await openOne(source)
  const part = partOf(first.metadata)
  if (!part) return first
  if (!openBeside) {
    await first.close()
    const [, ...others] = ggufParts(source.name.replace(/^.*[/\\]/, ''))
    const message = `${source.name}: split.count is ${part.count}: give all parts of the model${others.length ? `, ${others.join(', ')} too` : ''}`
    throw new FoveaError('format', 'openGguf', message)
  }
  return joinParts(first, async (name) => {
    const beside = await openBeside(name)
    return beside && openOne(beside)
  })
}

async function openOne(source: ByteSource): Promise<GgufTable> {
  try {
    return await readTable(source)
  } catch (error) {
    await source.close()
    throw error
  }
}

async function readTable(source: ByteSource): Promise<GgufTable> {
  const fault = (message: string) => new FoveaError('format', 'openGguf', `${source.name}: ${message}`)
  const { version, metadata, tensors, byteLength } = await readGgufHeader(source)
  const alignment = metadata.get('general.alignment') ?? defaultAlignment
  if (typeof alignment !== 'number' || !isPowerOfTwo(alignment))
    throw fault(`general.alignment is ${shown(alignment)}, no power of two`)

  const dataStart = Math.ceil(byteLength / alignment) * alignment
  const described: DescribedPlace[] = []
  const names = new Set<string>()
  for (const info of tensors) {
    if (names.has(info.name)) throw fault(`two tensors have the name ${info.name}`)
    names.add(info.name)
    if (info.offset % alignment !== 0)
      throw fault(`${info.name}: offset ${info.offset} is no multiple of the alignment ${alignment}`)
    described.push(readPlace(info, dataStart, fault))
  }
  const places = withLengths(described, source.size)
  checkPlaces(places, source.size, fault)
  const table = tensorTable(source, places, metadata, byteLength)
  return { ...table, version, metadata }
}

type Fault = (message: string) => FoveaError

/** `byteLength`: null where the type is not known */
type DescribedPlace = Omit<TensorPlace, 'byteLength'> & { readonly byteLength: number | null }

function readPlace({ name, dims, type, offset }: GgufTensorInfo, dataStart: number, fault: Fault): DescribedPlace {
  const { name: storedAs, dtype } = ggmlType(type)
  const shape = dims.toReversed()
  const place = { name, storedAs, shape, offset: dataStart + offset }
  if (dtype === undefined) return { ...place, dtype: 'opaque', byteLength: null }
  const byteLength = tensorBytes(dtype, shape)
  if (byteLength === undefined) {
    const blocks = isWeightDType(dtype) ? `, whose blocks hold ${weightBlock[dtype].elements}` : ''
    throw fault(`${name}: [${shape.join(', ')}] is no shape of ${storedAs}${blocks}`)
  }
  return { ...place, dtype, byteLength }
}

/** What is of an unknown type ends where the next tensor begins, at the latest. */
function withLengths(places: readonly DescribedPlace[], size: number): TensorPlace[] {
  const starts = places.map(({ offset }) => offset).sort((a, b) => a - b)
  // from the back: of several that begin together all but one are empty
  const ends = new Map(starts.map((start, i) => [start, starts[i + 1] ?? Math.max(size, start)] as const).toReversed())
  return places.map(({ byteLength, ...place }) => ({
    ...place,
    byteLength: byteLength ?? (ends.get(place.offset) ?? place.offset) - place.offset,
  }))
}

/** Between tensors there may be padding; they may not overlap, nor reach beyond the file. */
function checkPlaces(places: readonly TensorPlace[], size: number, fault: Fault): void {
  let end = 0
  let before = ''
  for (const { name, offset, byteLength } of places.toSorted(
    (a, b) => a.offset - b.offset || a.byteLength - b.byteLength,
  )) {
    if (offset + byteLength > size)
      throw fault(`${name} ends at ${offset + byteLength}, beyond the ${size} bytes of the file, which is cut short`)
    if (offset < end) throw fault(`${name} begins ${end - offset} bytes before the end of ${before}`)
    end = offset + byteLength
    before = name
  }
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= 2 ** 30 && Number.isInteger(Math.log2(value))
}
