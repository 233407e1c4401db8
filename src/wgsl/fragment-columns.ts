import type { Node } from '../ir/index.ts'
import type { FragmentContext } from './fragment-context.ts'
import type { StagedColumns } from './fragment-layout.ts'
import { canPrefetch } from './fragment-stage.ts'
import type { Lowering } from './lowering.ts'
import type { NodeUses } from './node-uses.ts'
import { type Place, slotPlace } from './place.ts'
import { elementAddress, renderAccess } from './render-load.ts'
import { renderValue } from './render-value.ts'
import { forEachSlot } from './thread-grid.ts'

/** The loads of a program that are staged so: of 32-bit elements, at places that depend on the loop's index alone. */
export function stagedColumns(uses: NodeUses, isVirtual: (node: Node) => boolean): ReadonlyMap<Node, StagedColumns> {
  const found = new Map<Node, StagedColumns>()
  for (const node of uses.values) {
    const loop = uses.loopsOf(node).at(-1)
    if (!loop || node.op !== 'load' || node.rows !== 1 || node.cols === 1 || isVirtual(node)) continue
    if (node.tensor.access !== 'read' || !['f32', 'i32', 'u32'].includes(node.tensor.dtype)) continue
    if (!uses.users(node).some((user) => user.op !== 'store')) continue
    if (canPrefetch(uses, node, loop)) found.set(node, { name: `columns${found.size}`, node, loop })
  }
  return found
}

export function declareColumns(columns: ReadonlyMap<Node, StagedColumns>): string[] {
  return [...columns.values()].map(({ name, node }) => `var<workgroup> ${name}: array<${node.dtype}, ${node.cols}>;`)
}

/** How many elements each invocation moves. */
function elementsEach(c: FragmentContext, { node }: StagedColumns): number {
  return Math.ceil(node.cols / c.layout.distribution.invocations)
}

export function declareColumnReads(c: FragmentContext, columns: StagedColumns): void {
  for (let at = 0; at < elementsEach(c, columns); at++) c.w.line(`var ${columns.name}_${at}: ${columns.node.dtype};`)
}

/** Reads this invocation's elements; what lies outside is read elsewhere, and made 0 only when it is written. */
export function readColumns(c: FragmentContext, l: Lowering, columns: StagedColumns): void {
  const { buffer, format } = l.bound(columns.node.tensor)
  for (let at = 0; at < elementsEach(c, columns); at++) {
    const { address, ok } = elementAccess(c, l, columns, at)
    c.w.line(`${columns.name}_${at} = ${format.loadElement(c.w, buffer, `select(0i, ${address}, ${ok})`)};`)
  }
}

/** Writes them where the lanes read; `l` looks at the round that they were read for. */
export function writeColumns(c: FragmentContext, l: Lowering, columns: StagedColumns): void {
  const { name, node } = columns
  const { invocations } = c.layout.distribution
  for (let at = 0; at < elementsEach(c, columns); at++) {
    const index = `local_index + ${at * invocations}u`
    c.w.block(`if (${index} < ${node.cols}u)`, () => {
      const { ok } = elementAccess(c, l, columns, at)
      c.w.line(`${name}[${index}] = select(${node.dtype}(0), ${name}_${at}, ${ok});`)
    })
  }
}

/** Names what this lane holds of them. */
export function takeColumns(c: FragmentContext, { name, node }: StagedColumns): void {
  const { l, w } = c
  forEachSlot(l.grid, node, (i, j) => {
    const { col } = slotPlace(l.grid, i, j)
    const parts = [0, 1, 2, 3].map((at) => `${name}[u32(${col}) + ${at}u]`)
    w.line(`let ${l.register(node, i, j)} = vec4<${node.dtype}>(${parts.join(', ')});`)
  })
}

function elementAccess(
  c: FragmentContext,
  l: Lowering,
  { node }: StagedColumns,
  at: number,
): { address: string; ok: string } {
  const { w } = c
  const { invocations } = c.layout.distribution
  const col = w.share(`i32(local_index + ${at * invocations}u)`, 'element')
  const place: Place = { row: '0i', col, width: 1, rowEnd: 1, colEnd: node.cols, slot: null }
  const access = renderAccess(l, w, node, place, renderValue)
  const ok = [access.condition, access.mask].filter((part) => part !== null)
  return { address: elementAddress(access, 0), ok: ok.length ? w.share(ok.join(' && '), 'ok') : 'true' }
}
