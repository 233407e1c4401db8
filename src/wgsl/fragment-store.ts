import { type Node, operands } from '../ir/index.ts'
import type { StoreNode } from '../ir/node.ts'
import { columnsHeld, type FragmentContext, meet } from './fragment-context.ts'
import { readResults, storeResults } from './fragment-dot.ts'
import type { Accumulator } from './fragment-roles.ts'
import type { Lowering } from './lowering.ts'
import { type Place, slotPlace } from './place.ts'
import { elementAddress, renderAccess } from './render-load.ts'
import { renderValue, renderWide } from './render-value.ts'
import { forEachSlot } from './thread-grid.ts'
import { component } from './value-type.ts'

/** Writes a store. What comes from accumulators passes through workgroup memory, a few columns at a time. */
export function emitFragmentStore(c: FragmentContext, store: StoreNode): void {
  const sources = accumulatorsOf(c, store)
  const late: Lowering = { ...c.l, isVirtual: (node) => c.l.isVirtual(node) || c.roles.late.has(node) }
  if (sources.length === 0 || store.cols === 1) {
    forEachSlot(c.l.grid, store, (i, j) => {
      c.w.block('', () => storeAt(c, late, store, slotPlace(c.l.grid, i, j)))
    })
    return
  }
  const { w, layout } = c
  const { config, blocks, groupCols, rows } = layout.distribution
  const held = columnsHeld(c, store.cols)
  const perChunk = 4 * config.lanesPerRow
  for (let i = 0; i < blocks; i++)
    for (let start = 0; start < held; start += layout.results.cols) {
      const cols = Math.min(layout.results.cols, held - start)
      const names = new Map<Accumulator, string[]>()
      for (const source of sources) {
        meet(c)
        storeResults(c, source.name, i, start / config.N, cols / config.N)
        meet(c)
        names.set(
          source,
          Array.from({ length: cols / perChunk }, (_, j) => w.declare(readResults(c, i, j), 'out')),
        )
      }
      for (let j = 0; j < cols / perChunk; j++) {
        const chunk = start / perChunk + j
        const l: Lowering = {
          ...late,
          register: (node) => {
            const source = c.roles.accumulators.get(node)
            return source ? (names.get(source)?.[j] as string) : c.l.register(node, i, chunk)
          },
        }
        const first =
          groupCols > 1 ? `i32(group_col) * ${held}i + col0 + ${chunk * perChunk}i` : `col0 + ${chunk * perChunk}i`
        const place: Place = {
          row: `row${i}`,
          col: w.share(first, 'col'),
          width: 4,
          rowEnd: rows,
          colEnd: store.cols,
          slot: { i, j: chunk },
        }
        w.block('', () => storeAt(c, l, store, place))
      }
    }
}

/** The accumulators that a store reads through values computed on its behalf. */
function accumulatorsOf(c: FragmentContext, store: StoreNode): Accumulator[] {
  const found = new Set<Accumulator>()
  const visit = (node: Node) => {
    const source = c.roles.accumulators.get(node)
    if (source) found.add(source)
    else if (c.roles.late.has(node)) operands(node).forEach(visit)
  }
  operands(store).forEach(visit)
  return [...found]
}

function storeAt(c: FragmentContext, l: Lowering, store: StoreNode, place: Place): void {
  const { w } = c
  const { buffer, format } = l.bound(store.tensor)
  const access = renderAccess(l, w, store, place, renderValue)
  // rounding to the tensor's dtype happens on the way out
  const value = l.isVirtual(store.value) && store.value.op === 'cast' ? store.value.x : store.value
  const out = w.declare(renderWide(l, w, value, place, access.width), 'out')
  const owner = [store.rows === 1 ? 'thread_row == 0i' : null, store.cols === 1 ? 'thread_col == 0i' : null]
  const conditions = [...owner, access.condition].filter((part) => part !== null)
  const write = () => {
    const mask = access.mask ? w.share(access.mask, 'ok') : null
    const elements = () => {
      for (let at = 0; at < access.width; at++) {
        const one = () => format.storeElement(w, buffer, elementAddress(access, at), component(out, at, access.width))
        if (mask) w.block(`if (${component(mask, at, access.width)})`, one)
        else one()
      }
    }
    if (!access.chunk) return elements()
    if (!mask) return format.storeChunk(w, buffer, access.address, out)
    w.block(`if (all(${mask}))`, () => format.storeChunk(w, buffer, access.address, out))
    w.block('else', elements)
  }
  if (conditions.length) w.block(`if (${conditions.join(' && ')})`, write)
  else write()
}
