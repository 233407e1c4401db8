import { binary, constant } from './build.ts'
import { type Axis, isScalar, type Node } from './node.ts'

/**
 * How an index runs over a tile: `uniform`, one value for the whole tile; `range`, base + 0 … n−1 along an axis, with a
 * scalar base; `general`, anything else.
 */
export type IndexForm =
  | { readonly kind: 'uniform'; readonly base: Node }
  | { readonly kind: 'range'; readonly axis: Axis; readonly base: Node; readonly count: number }
  | { readonly kind: 'general' }

/** Recognises base + iota in any nesting of additions, and iota − scalar. */
export function indexForm(node: Node): IndexForm {
  if (isScalar(node)) return { kind: 'uniform', base: node }
  if (node.op === 'iota')
    return {
      kind: 'range',
      axis: node.axis,
      base: constant(0, 'i32'),
      count: node.axis === 'rows' ? node.rows : node.cols,
    }
  if (node.op === 'broadcast') {
    const inner = indexForm(node.x)
    return inner.kind === 'range' || inner.kind === 'uniform' ? inner : { kind: 'general' }
  }
  if (node.op === 'binary' && (node.fn === 'add' || node.fn === 'sub')) {
    const [a, b] = [indexForm(node.a), indexForm(node.b)]
    if (a.kind === 'uniform' && b.kind === 'range' && node.fn === 'add')
      return { ...b, base: binary('add', a.base, b.base) }
    if (a.kind === 'range' && b.kind === 'uniform') return { ...a, base: binary(node.fn, a.base, b.base) }
  }
  return { kind: 'general' }
}
