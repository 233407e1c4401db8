import { float8Header } from '../../nn/block-formats/float8.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { type WeightDType, weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { TensorEntry, TensorTable } from '../files/tensor-table.ts'
import type { PackedFloat8 } from './quantization-config.ts'

/** What safetensors calls them, our dtypes without the elements of a block, and the bits of which all are set in what is no number. */
const kinds = { F8_E4M3: { dtype: 'f8_e4m3', none: 0x7f }, F8_E5M2: { dtype: 'f8_e5m2', none: 0x7c } } as const

/**
 * A table in which matrices of floats of 8 bits (`name.weight` with `name.weight_scale_inv`, as DeepSeek calls it, or
 * `name.weight_scale`, by both of which it is multiplied) are tensors of blocks, put together when they are read. A scale is one
 * number, one of each row, or one of each tile of the configuration's block. Throws `format` naming tensor and shape: a scale
 * that is missing or fits none of these.
 */
export function float8Table(table: TensorTable, packed: PackedFloat8): TensorTable {
  const entries = new Map<string, TensorEntry>()
  for (const name of table.names()) {
    const entry = table.get(name)
    const kind = kinds[entry.storedAs as keyof typeof kinds]
    const [, module] = /^(.*)\.weight$/.exec(name) ?? []
    if (kind && module !== undefined) entries.set(name, float8Entry(table, entry, module, kind, packed))
    else if (!/\.(weight_scale(_inv)?|input_scale)$/.test(name)) entries.set(name, entry)
  }
  return {
    ...table,
    names: () => [...entries.keys()],
    has: (name) => entries.has(name),
    get: (name) => entries.get(name) ?? table.get(name),
  }
}

function float8Entry(
  table: TensorTable,
  weight: TensorEntry,
  module: string,
  kind: (typeof kinds)[keyof typeof kinds],
  { block }: PackedFloat8,
): TensorEntry {
  const fault = (message: string, code: 'format' | 'unsupported' = 'format') =>
    new FoveaError(code, 'openCheckpoint', `${table.source}: ${message}`)
  const names = [`${module}.weight_scale_inv`, `${module}.weight_scale`]
  const found = names.find((name) => table.has(name))
  if (found === undefined) throw fault(`${weight.name} is ${weight.storedAs} and has no ${names.join(' or ')}`)
  const scale = table.get(found)
  const [rows = 0, cols = 0] = weight.shape
  const size = ([128, 32] as const).find((elements) => cols % elements === 0)
  if (weight.shape.length !== 2 || size === undefined)
    throw fault(`${weight.name}: rows of [${weight.shape.join(', ')}] are no multiples of 32`, 'unsupported')
  const [tileRows, tileCols] = tileOf(scale, rows, cols, block, fault)
  const dtype: WeightDType = `${kind.dtype}_${size}`
  const width = float8Header + size
  const readRows = async (from: number, to: number) => {
    const shape = { rows: 1, cols: scale.shape.reduce((product, n) => product * n, 1) }
    const scales = dequantizeRows({ dtype: scale.dtype as WeightDType, ...shape, bytes: await scale.read() })
    const floats = await weight.read()
    const perRow = Math.ceil(cols / tileCols)
    const bytes = new Uint8Array(((to - from) * cols * width) / size)
    const view = new DataView(bytes.buffer)
    for (let row = from, at = 0; row < to; row++)
      for (let k = 0; k < cols; k += size, at += width) {
        view.setFloat32(at, scales[Math.floor(row / tileRows) * perRow + Math.floor(k / tileCols)] ?? 0, true)
        const own = floats.subarray(row * cols + k, row * cols + k + size)
        const wrong = own.findIndex((byte) => (byte & kind.none) === kind.none)
        if (wrong >= 0) throw fault(`${weight.name}: row ${row}, column ${k + wrong} is no finite number`)
        bytes.set(own, at + float8Header)
      }
    return bytes
  }
  return {
    name: weight.name,
    dtype,
    storedAs: weight.storedAs,
    shape: weight.shape,
    byteLength: (rows * cols * weightBlock[dtype].bytes) / weightBlock[dtype].elements,
    read: () => readRows(0, rows),
    readRows,
    reshaped(shape) {
      throw fault(`${weight.name} has scales of [${rows}, ${cols}], not of [${shape.join(', ')}]`, 'unsupported')
    },
  }
}

/** Rows and columns that share a number of the scale. */
function tileOf(
  scale: TensorEntry,
  rows: number,
  cols: number,
  block: PackedFloat8['block'],
  fault: (message: string) => FoveaError,
): readonly [number, number] {
  const is = (...shapes: readonly (readonly number[])[]) => shapes.some((shape) => shape.join() === scale.shape.join())
  const inTiles = block && [Math.ceil(rows / block[0]), Math.ceil(cols / block[1])]
  const wanted = `[1], [${rows}, 1]${inTiles ? ` or [${inTiles.join(', ')}]` : ''}`
  if (!['f32', 'bf16', 'f16'].includes(scale.dtype))
    throw fault(`${scale.name} must be F32, BF16 or F16 ${wanted}, got ${scale.storedAs}`)
  if (is([], [1], [1, 1])) return [rows, cols]
  if (is([rows], [rows, 1])) return [1, cols]
  if (block && inTiles && is(inTiles) && block[1] % 32 === 0) return block
  throw fault(`${scale.name} must be ${wanted}, got [${scale.shape.join(', ')}]`)
}
