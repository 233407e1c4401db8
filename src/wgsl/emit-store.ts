import type { Node, StoreNode } from '../ir/node.ts'
import type { Lowering } from './lowering.ts'
import { type Place, slotPlace } from './place.ts'
import { elementAddress, renderAccess } from './render-load.ts'
import { renderValue, renderWide } from './render-value.ts'
import type { TextWriter } from './text-writer.ts'
import { chunkCount, forEachSlot, rowCount } from './thread-grid.ts'
import { component } from './value-type.ts'

/** Writes a store: every invocation writes what it holds; of repeated values the first along an axis writes. */
export function emitStore(l: Lowering, w: TextWriter, store: StoreNode): void {
  const { buffer, format } = l.bound(store.tensor)
  forEachSlot(l.grid, store, (i, j) => {
    const place = slotPlace(l.grid, i, j)
    const owner = ownership(l, store, place)
    w.block('', () => {
      const access = renderAccess(l, w, store, place, renderValue)
      const value = w.declare(renderWide(l, w, valueToStore(l, store), place, access.width), 'out')
      const condition = [owner, access.condition].filter((part) => part !== null).join(' && ')
      const mask = [access.mask, columnMask(store, place)].filter((part) => part !== null).join(' & ')
      const all = mask ? w.share(mask, 'ok') : null
      const element = (at: number) => {
        const write = () =>
          format.storeElement(w, buffer, elementAddress(access, at), component(value, at, access.width))
        if (all) w.block(`if (${component(all, at, access.width)})`, write)
        else write()
      }
      const elements = () => {
        for (let at = 0; at < access.width; at++) element(at)
      }
      const write = () => {
        if (!access.chunk) return elements()
        if (!all) return format.storeChunk(w, buffer, access.address, value)
        w.block(`if (all(${all}))`, () => format.storeChunk(w, buffer, access.address, value))
        w.block('else', elements)
      }
      if (condition) w.block(`if (${condition})`, write)
      else write()
    })
  })
}

/** rounding to the tensor's dtype happens on the way out: a cast to it need not be made before */
function valueToStore(l: Lowering, store: StoreNode): Node {
  const { value } = store
  return l.isVirtual(value) && value.op === 'cast' ? value.x : value
}

/** The condition, if any, under which this invocation owns row i, chunk j of the stored tile. */
function ownership(l: Lowering, store: StoreNode, place: Place): string | null {
  const { grid } = l
  const conditions: string[] = []
  if (store.rows === 1 && grid.rows > 1) conditions.push('thread_row == 0i')
  else if (store.rows > 1 && rowCount(grid, store) * grid.rows !== store.rows && place.rowEnd > store.rows)
    conditions.push(`${place.row} < ${store.rows}i`)
  if (store.cols === 1 && grid.cols > 1) conditions.push('thread_col == 0i')
  else if (store.cols > 1 && chunkCount(grid, store) * grid.cols * 4 !== store.cols && place.colEnd > store.cols)
    conditions.push(`${place.col} < ${store.cols}i`)
  return conditions.length ? conditions.join(' && ') : null
}

/** columns of the last chunk that are beyond the tile */
function columnMask(store: StoreNode, place: Place): string | null {
  if (store.cols === 1 || store.cols % 4 === 0 || place.colEnd <= store.cols) return null
  return `((vec4<i32>(${place.col}) + vec4<i32>(0i, 1i, 2i, 3i)) < vec4<i32>(${store.cols}i))`
}
