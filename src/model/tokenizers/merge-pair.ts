import { definitionFault } from './definition-fault.ts'

/** The two sides of a merge: a pair, or "left right" in older files. Throws `format` naming its place in the list. */
export function mergePair(merge: unknown, rank: number): readonly [string, string] {
  const [left, right] = Array.isArray(merge) && merge.length === 2 ? merge : []
  if (typeof left === 'string' && typeof right === 'string') return [left, right]
  const space = typeof merge === 'string' ? merge.indexOf(' ', 1) : -1
  if (typeof merge === 'string' && space > 0) return [merge.slice(0, space), merge.slice(space + 1)]
  throw definitionFault('format', `model.merges[${rank}]`, merge, 'must be two texts')
}
