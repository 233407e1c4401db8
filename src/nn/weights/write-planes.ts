import type { Tensor } from '../../device/device.ts'
import { storageBytes } from '../../tile/index.ts'
import { type MatrixData, rowBytes } from '../weight-data.ts'
import { type PlaneName, panelWidth, placedFormats, rowMultiple, type WeightLayout } from './placed-format.ts'
import { rowEntries, unpackRow } from './unpack-row.ts'

/** bytes that are laid out on the host before they are written */
const chunkBytes = 4 * 2 ** 20

/** Where a run of rows of the host's matrices goes: to output features `at` … of the planes, padding included. */
export interface PlacedRows {
  readonly matrix: MatrixData
  readonly from: number
  readonly to: number
  readonly at: number
}

/**
 * Fills planes of `features` output features with rows, what is not covered with zeros, a few MiB at a time: no more than
 * that is ever held twice.
 */
export function writePlanes(
  planes: Readonly<Partial<Record<PlaneName, Tensor>>>,
  layout: WeightLayout,
  features: number,
  rows: readonly PlacedRows[],
): void {
  const [{ matrix: first }] = rows as readonly [PlacedRows]
  const { dtype, cols } = first
  const format = placedFormats[dtype]
  const bytes = rowBytes('placeLinear', dtype, cols)
  const entries = rowEntries(dtype, cols)
  const unit = layout === 'panels' ? panelWidth : rowMultiple
  const step = Math.max(1, Math.floor(chunkBytes / (bytes * unit))) * unit
  for (let start = 0; start < features; start += step) {
    const count = Math.min(step, features - start)
    const chunks = format.planes.map((plane) => {
      const length = plane.length(cols)
      const buffer = new ArrayBuffer(count * length * storageBytes[plane.dtype])
      return { name: plane.name, length, buffer, target: viewLike(entries[plane.name], buffer) }
    })
    for (const { matrix, from, to, at } of rows) {
      const begin = Math.max(start, at)
      const end = Math.min(start + count, at + to - from)
      const source = (from + begin - at) * bytes
      // plain rows lie as they are to lie
      if (layout === 'rows' && format.planes.length === 1 && end > begin) {
        const [{ buffer }] = chunks as [(typeof chunks)[0]]
        new Uint8Array(buffer, (begin - start) * bytes).set(
          matrix.bytes.subarray(source, source + (end - begin) * bytes),
        )
        continue
      }
      for (let feature = begin; feature < end; feature++) {
        unpackRow(dtype, matrix.bytes, source + (feature - begin) * bytes, cols, entries)
        const slot = feature - start
        for (const { name, length, target } of chunks) {
          const row = entries[name] as Uint8Array
          if (layout === 'rows') target.set(row, slot * length)
          else {
            const origin = Math.floor(slot / panelWidth) * length * panelWidth + (slot % panelWidth)
            for (let i = 0; i < length; i++) target[origin + i * panelWidth] = row[i] as number
          }
        }
      }
    }
    for (const { name, buffer } of chunks) {
      const part = (planes[name] as Tensor).slice(
        0,
        start / (layout === 'panels' ? panelWidth : 1),
        endOf(layout, start + count),
      )
      part.write(buffer)
      part.dispose()
    }
  }
}

const endOf = (layout: WeightLayout, feature: number) => (layout === 'panels' ? feature / panelWidth : feature)

function viewLike(entries: Uint8Array | Uint16Array | Uint32Array | undefined, buffer: ArrayBuffer) {
  if (entries instanceof Uint32Array) return new Uint32Array(buffer)
  return entries instanceof Uint16Array ? new Uint16Array(buffer) : new Uint8Array(buffer)
}
