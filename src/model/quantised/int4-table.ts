import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { type WeightDType, weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { TensorEntry, TensorTable } from '../files/tensor-table.ts'
import { int4Blocks } from './int4-blocks.ts'
import type { PackedInt4 } from './quantization-config.ts'

/**
 * A table in which the packed matrices of AWQ and GPTQ (`name.qweight` with its `qzeros`, `scales` and, of GPTQ, `g_idx`) are
 * tensors `name.weight` [outputs, inputs] of blocks, put together when they are read; the others are as they are. Throws
 * `format` naming tensor and shape: parts that are missing or do not fit each other.
 */
export function int4Table(table: TensorTable, packed: PackedInt4): TensorTable {
  const entries = new Map<string, TensorEntry>()
  for (const name of table.names()) {
    const module = /^(.*)\.(qweight|qzeros|scales|g_idx)$/.exec(name)?.[1]
    if (module === undefined || !table.has(`${module}.qweight`)) entries.set(name, table.get(name))
    else if (name.endsWith('.qweight')) entries.set(`${module}.weight`, int4Entry(table, module, packed))
  }
  return {
    ...table,
    names: () => [...entries.keys()],
    has: (name) => entries.has(name),
    get: (name) => entries.get(name) ?? table.get(name),
  }
}

function int4Entry(table: TensorTable, module: string, packed: PackedInt4): TensorEntry {
  const fault = (message: string, code: 'format' | 'unsupported' = 'format') =>
    new FoveaError(code, 'openCheckpoint', `${table.source}: ${message}`)
  const part = (name: string) => {
    if (table.has(`${module}.${name}`)) return table.get(`${module}.${name}`)
    throw fault(`${module}.qweight has no ${module}.${name}`)
  }
  const [quants, zeros, scales] = [part('qweight'), part('qzeros'), part('scales')]
  const [outer = 0, inner = 0] = quants.shape
  const [cols, rows] = packed.kind === 'awq' ? [outer, inner * 8] : [outer * 8, inner]
  const groups = packed.group === null ? 1 : Math.ceil(cols / packed.group)
  const expect = (entry: TensorEntry, shape: readonly number[], dtypes: readonly string[]) => {
    if (entry.shape.join() !== shape.join() || !dtypes.includes(entry.dtype))
      throw fault(
        `${entry.name} must be ${dtypes.join(' or ')} [${shape.join(', ')}], got ${entry.storedAs} [${entry.shape.join(', ')}]`,
      )
  }
  expect(quants, packed.kind === 'awq' ? [cols, rows / 8] : [cols / 8, rows], ['i32'])
  expect(zeros, [groups, rows / 8], ['i32'])
  expect(scales, [groups, rows], ['f16', 'bf16', 'f32'])
  const dtype = ([128, 64, 32] as const).find((size) => cols % size === 0 && (packed.group ?? size) % size === 0)
  if (dtype === undefined)
    throw fault(
      `${quants.name}: groups of ${packed.group} of ${cols} inputs are not read; multiples of 32 are`,
      'unsupported',
    )
  const stored: WeightDType = `int4_${dtype}`
  const readRows = async (from: number, to: number) => {
    if (table.has(`${module}.g_idx`)) await checkOrder(part('g_idx'), cols, packed.group ?? cols, fault)
    const numbers = async (entry: TensorEntry) => new Int32Array((await entry.read()).slice().buffer)
    const values = dequantizeRows({
      dtype: scales.dtype as WeightDType,
      rows: groups,
      cols: rows,
      bytes: await scales.read(),
    })
    const parts = { rows, cols, quants: await numbers(quants), zeros: await numbers(zeros), scales: values }
    return int4Blocks(parts, packed, dtype, from, to)
  }
  return {
    name: `${module}.weight`,
    dtype: stored,
    storedAs: `${packed.kind.toUpperCase()} of 4 bits`,
    shape: [rows, cols],
    byteLength: (rows * cols * weightBlock[stored].bytes) / weightBlock[stored].elements,
    read: () => readRows(0, rows),
    readRows,
    reshaped(shape) {
      throw fault(`${module}.weight is packed as [${rows}, ${cols}], not as [${shape.join(', ')}]`, 'unsupported')
    },
  }
}

/** Inputs that were sorted by importance (desc_act) are of other groups than their places say. */
async function checkOrder(
  order: TensorEntry,
  cols: number,
  group: number,
  fault: (message: string, code?: 'format' | 'unsupported') => FoveaError,
): Promise<void> {
  if (order.dtype !== 'i32' || order.shape.join() !== String(cols))
    throw fault(`${order.name} must be i32 [${cols}], got ${order.storedAs} [${order.shape.join(', ')}]`)
  const groups = new Int32Array((await order.read()).slice().buffer)
  const moved = groups.findIndex((of, i) => of !== Math.floor(i / group))
  if (moved >= 0)
    throw fault(
      `${order.name}: input ${moved} is of group ${groups[moved]}: inputs in another order (desc_act) are not read`,
      'unsupported',
    )
}
