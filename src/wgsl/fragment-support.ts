import { isScalar, type Node } from '../ir/index.ts'
import type { Unsupported } from './fragment-config.ts'
import type { FragmentLayout } from './fragment-layout.ts'
import type { FragmentRoles } from './fragment-roles.ts'
import type { NodeUses } from './node-uses.ts'
import { isElementWise } from './virtual-values.ts'

/** Why the values between products cannot be held by the lanes of rows; null when they can. */
export function unsupportedValue(
  uses: NodeUses,
  roles: FragmentRoles,
  layout: FragmentLayout,
  isVirtual: (node: Node) => boolean,
): Unsupported | null {
  const { rows, config, groupCols } = layout.distribution
  const unit = 4 * config.lanesPerRow
  const shape = (node: Node) => `${node.op} [${node.rows}, ${node.cols}]`
  const check = (node: Node): string | null => {
    if (isScalar(node)) return node.op === 'reduce' || node.op === 'scan' ? `a ${node.op} to a scalar` : null
    if (node.rows !== 1 && node.rows !== rows) return `${shape(node)} beside products of ${rows} rows`
    if (node.cols !== 1 && (groupCols > 1 || node.cols % unit))
      return `${shape(node)} is dealt to lanes in units of ${unit} columns`
    return null
  }
  for (const node of uses.values) {
    if (isVirtual(node) || roles.late.has(node) || roles.steps.has(node) || roles.absorbed.has(node)) continue
    if (node.op === 'reduce' ? node.axis === 'rows' : node.op !== 'dot' && !isElementWise(node))
      return { unsupported: node.op === 'reduce' ? 'a reduction over rows' : `a ${node.op} of a tile` }
    const problem = check(node)
    if (problem) return { unsupported: problem }
    if (node.op === 'reduce' && node.rows === 1) return { unsupported: 'a reduction of a column vector' }
  }
  for (const loop of uses.loops)
    for (const arg of loop.args) {
      const problem = roles.accumulators.has(arg) ? null : check(arg)
      if (problem) return { unsupported: `carried ${problem}` }
    }
  for (const store of uses.stores) {
    if (!['f32', 'f16', 'i32', 'u32'].includes(store.tensor.dtype))
      return { unsupported: `a store of ${store.tensor.dtype}` }
    if (store.rows !== 1 && store.rows !== rows)
      return { unsupported: `a store of ${store.rows} rows beside products of ${rows}` }
    if (store.cols !== 1 && store.cols % (unit * groupCols)) return { unsupported: `a store of ${store.cols} columns` }
  }
  return null
}
