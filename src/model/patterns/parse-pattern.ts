import { type CharacterSet, characterSet } from './character-set.ts'

/** An expression as a tree. */
export type PatternNode =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence' | 'either'; readonly nodes: readonly PatternNode[] }
  | {
      readonly kind: 'repeat'
      readonly node: PatternNode
      readonly least: number
      readonly most: number
      readonly lazy: boolean
    }
  | { readonly kind: 'look'; readonly node: PatternNode; readonly behind: boolean; readonly negated: boolean }
  /** matched once, in the first way that fits, and not tried otherwise */
  | { readonly kind: 'atomic'; readonly node: PatternNode }
  | { readonly kind: 'start' | 'end' }

/** what an expression says wrong, or asks for that is not offered */
export class PatternFault extends Error {}

/** deeper than anyone writes: what works on the tree calls itself for each level */
const deepest = 60

/**
 * Reads an expression of JavaScript with the flag v, of which the parts are those that `translateRegex` writes: groups,
 * classes, counts, looks ahead and behind, and groups that give nothing back, written as `(?=(?<name>…))\k<name>`.
 */
export function parsePattern(source: string): PatternNode {
  const sets = new Map<string, CharacterSet>()
  let at = 0
  let depth = 0

  const setOf = (written: string): PatternNode => {
    const set = sets.get(written) ?? characterSet(written)
    sets.set(written, set)
    return { kind: 'set', set }
  }
  const skip = (text: string): boolean => {
    const found = source.startsWith(text, at)
    if (found) at += text.length
    return found
  }
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(source)
    if (found) at += found[0].length
    return found
  }

  const either = (): PatternNode => {
    if (++depth > deepest) throw new PatternFault(`has groups nested more than ${deepest} levels deep`)
    const nodes = [sequence()]
    while (skip('|')) nodes.push(sequence())
    depth--
    return nodes.length === 1 ? (nodes[0] as PatternNode) : { kind: 'either', nodes }
  }
  const sequence = (): PatternNode => {
    const nodes: PatternNode[] = []
    while (at < source.length && source[at] !== '|' && source[at] !== ')') nodes.push(repeated(atom()))
    return nodes.length === 1 ? (nodes[0] as PatternNode) : { kind: 'sequence', nodes }
  }
  const repeated = (node: PatternNode): PatternNode => {
    const found = take(/(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})(\??)/y)
    if (!found) return node
    const [, sign, count = '', comma, limit = '', lazy] = found
    const least = sign ? (sign === '+' ? 1 : 0) : Number(count)
    const open = sign ? sign !== '?' : comma !== undefined && limit === ''
    const most = open ? Number.POSITIVE_INFINITY : sign ? 1 : Number(comma ? limit : count)
    if (least > most) throw new PatternFault(`counts from ${least} to ${most}`)
    return repeated({ kind: 'repeat', node, least, most, lazy: lazy === '?' })
  }
  const closed = (): PatternNode => {
    const node = either()
    if (!skip(')')) throw new PatternFault('has a group that is not closed')
    return node
  }
  const atom = (): PatternNode => {
    const atomic = take(/\(\?=\(\?<(atomic\d+)>/y)
    if (atomic) {
      const node = closed()
      if (!skip(`)\\k<${atomic[1]}>`)) throw new PatternFault('has a group that is not closed')
      return { kind: 'atomic', node }
    }
    const look = take(/\(\?(<?)([=!])/y)
    if (look) return { kind: 'look', node: closed(), behind: look[1] === '<', negated: look[2] === '!' }
    if (take(/\(\?(?::|<\w+>)|\((?!\?)/y)) return closed()
    if (skip('^')) return { kind: 'start' }
    if (skip('$')) return { kind: 'end' }
    if (source[at] === '[') return setOf(classText())
    const property = take(/\\[pP]\{[^}]*\}/y)
    if (property) return setOf(property[0])
    if (take(/\\(?:k<|[1-9])/y)) throw new PatternFault('refers back to what a group has matched')
    const letter = take(/\\?[\s\S]/uy)
    if (!letter) throw new PatternFault('ends too early')
    return setOf(letter[0])
  }
  /** From its bracket to the one that closes it; classes may be within. */
  const classText = (): string => {
    const begin = at
    let open = 0
    do {
      if (source[at] === '[') open++
      else if (source[at] === ']') open--
      else if (source[at] === '\\') at++
      else if (source[at] === undefined) throw new PatternFault('has a class that is not closed')
      at++
    } while (open > 0)
    return source.slice(begin, at)
  }

  const tree = either()
  if (at < source.length) throw new PatternFault('has a ) too many')
  return tree
}
