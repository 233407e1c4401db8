import { FoveaError } from '../../tile/index.ts'
import type { ByteSource } from './byte-source.ts'
import { duplicateKey } from './duplicate-key.ts'
import { parseJson } from './parse-json.ts'
import { shown } from './shown.ts'
import type { SizedDType, TensorPlace, TensorTable } from './tensor-table.ts'
import { tensorBytes, tensorTable } from './tensor-table.ts'

/** The dtypes of the format that are read, by their names there. */
export const safetensorsDTypes: ReadonlyMap<string, SizedDType> = new Map([
  ['F64', 'f64'],
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['I64', 'i64'],
  ['I32', 'i32'],
  ['I16', 'i16'],
  ['I8', 'i8'],
  ['U64', 'u64'],
  ['U32', 'u32'],
  ['U16', 'u16'],
  ['U8', 'u8'],
  ['BOOL', 'bool'],
])

/** as the format's own reader: a longer header is a mistake or an attack */
const maxHeader = 100_000_000
/** zeros up to the next sector or page of a disk, which copies of whole blocks leave behind the last tensor */
const maxPadding = 4096

/**
 * Opens a safetensors file: 8 bytes of header length, a JSON header { name: { dtype, shape, data_offsets } }, the data.
 *
 * The header is read and checked whole, the data when asked for. The source is taken over: closing the table closes it,
 * and so does a failure. Throws `format` naming file, tensor and field: a header
 * longer than the file, no JSON, a name twice, offsets that overlap, leave a gap or reach beyond the file, a shape that
 * does not fit its bytes, bytes that belong to no tensor (up to 4,096 zeros may follow the last). A tensor of a dtype that
 * is not known here is `opaque`: it matters where it is asked for, and so does metadata that is no text.
 */
export async function openSafetensors(source: ByteSource): Promise<TensorTable> {
  try {
    return await readTable(source)
  } catch (error) {
    await source.close()
    throw error
  }
}

async function readTable(source: ByteSource): Promise<TensorTable> {
  const fault = (message: string, cause?: unknown) =>
    new FoveaError('format', 'openSafetensors', `${source.name}: ${message}`, { cause })
  if (source.size < 8) throw fault(`${source.size} bytes are no safetensors file, which begins with 8 bytes of length`)
  const prefix = await source.read(0, 8)
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true)
  if (length > BigInt(source.size - 8))
    throw fault(`the header is to be ${length} bytes long, but ${source.size - 8} follow its length`)
  if (length > BigInt(maxHeader))
    throw fault(`the header is to be ${length} bytes long, over the limit of ${maxHeader}`)
  const dataStart = 8 + Number(length)

  const { tensors, metadata } = parseHeader(await source.read(8, Number(length)), fault)
  const places = tensors.map(([name, entry]) => readEntry(name, entry, dataStart, fault))
  const { end, last } = checkCoverage(places, dataStart, source.size, fault)
  const padding = await source.read(end, Math.min(source.size - end, maxPadding))
  if (end + padding.byteLength < source.size || padding.some((byte) => byte !== 0))
    throw fault(`${source.size - end} bytes after ${last} belong to no tensor`)
  return tensorTable(source, places, metadata, dataStart)
}

type Fault = (message: string, cause?: unknown) => FoveaError

function parseHeader(bytes: Uint8Array, fault: Fault) {
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    // nothing stands before the bracket, a byte order mark neither: safetensors refuses it
    if (text.startsWith('\ufeff')) throw new SyntaxError('it begins with a byte order mark')
    header = parseJson(text)
  } catch (cause) {
    throw fault(`the header is no JSON: ${(cause as Error).message}`, cause)
  }
  if (!isObject(header)) throw fault('the header is no JSON object')
  const twice = duplicateKey(text)
  if (twice !== undefined) throw fault(`the header has the name ${twice} twice`)
  const metadata = new Map<string, unknown>()
  const tensors: [string, unknown][] = []
  for (const [name, entry] of Object.entries(header)) {
    if (name !== '__metadata__') tensors.push([name, entry])
    else if (isObject(entry)) for (const [key, value] of Object.entries(entry)) metadata.set(key, value)
  }
  return { tensors, metadata }
}

function readEntry(name: string, entry: unknown, dataStart: number, fault: Fault): TensorPlace {
  if (!isObject(entry)) throw fault(`${name} is no JSON object`)
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry
  if (typeof dtypeName !== 'string') throw fault(`${name}: dtype ${shown(dtypeName)} is no name`)
  if (!isSizes(shape)) throw fault(`${name}: shape ${shown(shape)} is no list of sizes`)
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!)
    throw fault(`${name}: data_offsets ${shown(offsets)} are no beginning and end`)
  const [from, to] = offsets as [number, number]
  const place = { name, storedAs: dtypeName, shape, offset: dataStart + from, byteLength: to - from }
  const dtype = safetensorsDTypes.get(dtypeName)
  if (!dtype) return { ...place, dtype: 'opaque' }
  const bytes = tensorBytes(dtype, shape)
  if (bytes !== to - from) {
    const needs = bytes === undefined ? 'more bytes than can be counted' : `${bytes} bytes`
    throw fault(`${name}: shape [${shape.join(', ')}] of ${dtype} takes ${needs}, data_offsets span ${to - from}`)
  }
  return { ...place, dtype }
}

/** The data is covered by the tensors, each byte once: anything else is a damaged file. Gives the last one and where it ends. */
function checkCoverage(places: readonly TensorPlace[], dataStart: number, size: number, fault: Fault) {
  let end = dataStart
  let before = 'the header'
  for (const place of places.toSorted((a, b) => a.offset - b.offset || a.byteLength - b.byteLength)) {
    const { name, offset, byteLength } = place
    if (offset < end) throw fault(`${name}: data_offsets begin ${end - offset} bytes before the end of ${before}`)
    if (offset > end) throw fault(`${name}: data_offsets leave a gap of ${offset - end} bytes after ${before}`)
    if (offset + byteLength > size)
      throw fault(`${name}: data_offsets end ${offset + byteLength - size} bytes beyond the file, which is cut short`)
    end = offset + byteLength
    before = name
  }
  return { end, last: before }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0)
}
