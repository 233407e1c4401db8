import type { CharacterSet } from './character-set.ts'
import { PatternFault, type PatternNode } from './parse-pattern.ts'

/** One step of a program; `next` is the step after it. */
export type PatternStep =
  | { readonly kind: 'accept' }
  | { readonly kind: 'set'; readonly set: CharacterSet; readonly next: number }
  /** as many characters of a set as there are, then fewer; `memo` numbers the places where failures are remembered */
  | {
      readonly kind: 'run'
      readonly set: CharacterSet
      readonly least: number
      readonly most: number
      readonly next: number
      readonly memo: number
    }
  /** goes on at `next`, and at `other` when that fails; `memo` is -1 where nobody comes twice */
  | { readonly kind: 'choice'; next: number; other: number; readonly memo: number }
  | {
      readonly kind: 'look'
      readonly inner: number
      readonly next: number
      readonly negated: boolean
      /** how many units long what stands before may be; null looks ahead */
      readonly behind: readonly [number, number] | null
    }
  | { readonly kind: 'atomic'; readonly inner: number; readonly next: number }
  | { readonly kind: 'start' | 'end'; readonly next: number }
  /** notes where a pass of a loop begins, for a loop whose passes may be empty */
  | { readonly kind: 'pass'; readonly slot: number; readonly next: number }
  /** ends a loop after a pass that was empty, goes on with the next pass otherwise */
  | { readonly kind: 'passed'; readonly slot: number; readonly next: number; readonly after: number }

export interface PatternProgram {
  readonly steps: readonly PatternStep[]
  /** where the alternatives of the whole expression begin, by the character that a match begins with; ASCII only */
  readonly starts: readonly (readonly number[])[]
  /** all of them */
  readonly allStarts: readonly number[]
  /** how many places remember failures */
  readonly memos: number
  /** how many loops note where their passes begin */
  readonly slots: number
}

/** beyond which an expression is refused: what remembers failures is as large as this times the text */
const mostSteps = 4000
const mostCount = 1000
const longestBehind = 64

/** The program of an expression. Throws a PatternFault for one that is too large, or looks behind without end. */
export function compilePattern(tree: PatternNode): PatternProgram {
  const steps: PatternStep[] = [{ kind: 'accept' }]
  let memos = 0
  let slots = 0
  // what fails within a loop of empty passes may depend on where its pass began: it is not remembered
  let forgetful = 0
  const memo = (needed: boolean): number => (needed && forgetful === 0 ? memos++ : -1)

  const add = (step: PatternStep): number => {
    if (steps.length >= mostSteps) throw new PatternFault(`needs more than ${mostSteps} steps`)
    return steps.push(step) - 1
  }
  /** The steps of a node that goes on at `next`, last ones first; gives the first. `once`: nobody comes here twice at a place. */
  const emit = (node: PatternNode, next: number, once: boolean): number => {
    switch (node.kind) {
      case 'set':
        return add({ kind: 'set', set: node.set, next })
      case 'sequence':
        return node.nodes.reduceRight((after, each, i) => emit(each, after, once && i === 0), next)
      case 'either': {
        const entries = node.nodes.map((each) => emit(each, next, once))
        return entries.reduceRight((other, entry) => add({ kind: 'choice', next: entry, other, memo: memo(!once) }))
      }
      case 'look': {
        const behind = node.behind ? behindLengths(node.node) : null
        return add({ kind: 'look', inner: emit(node.node, 0, false), next, negated: node.negated, behind })
      }
      case 'atomic':
        return add({ kind: 'atomic', inner: emit(node.node, 0, false), next })
      case 'start':
      case 'end':
        return add({ kind: node.kind, next })
      case 'repeat':
        return emitRepeat(node, next, once)
      default:
        return node satisfies never
    }
  }
  const emitRepeat = (node: PatternNode & { kind: 'repeat' }, next: number, once: boolean): number => {
    const { node: inner, least, most, lazy } = node
    if (Math.max(least, most === Number.POSITIVE_INFINITY ? 0 : most) > mostCount)
      throw new PatternFault(`counts beyond ${mostCount}`)
    if (inner.kind === 'set' && !lazy) {
      const { set } = inner
      const isBounded = most !== Number.POSITIVE_INFINITY
      return add({ kind: 'run', set, least, most, next, memo: memo(!isBounded || !(once || least === most)) })
    }
    const order = (body: number, after: number) => (lazy ? { next: after, other: body } : { next: body, other: after })
    let entry = next
    if (most === Number.POSITIVE_INFINITY) {
      const loop = { kind: 'choice' as const, next: 0, other: 0, memo: memo(true) }
      entry = add(loop)
      Object.assign(loop, order(isNullable(inner) ? emitPass(inner, entry, next) : emit(inner, entry, false), next))
    } else
      for (let i = least; i < most; i++)
        entry = add({ kind: 'choice', ...order(emit(inner, entry, false), next), memo: memo(true) })
    for (let i = 0; i < least; i++) entry = emit(inner, entry, false)
    return entry
  }

  const emitPass = (inner: PatternNode, next: number, after: number): number => {
    const slot = slots++
    forgetful++
    const body = emit(inner, add({ kind: 'passed', slot, next, after }), false)
    forgetful--
    return add({ kind: 'pass', slot, next: body })
  }

  const alternatives = tree.kind === 'either' ? tree.nodes : [tree]
  const entries = alternatives.map((node) => ({ entry: emit(node, 0, true), first: firstOf(node) }))
  const starts = Array.from({ length: 128 }, (_, code) =>
    entries.filter(({ first }) => first === null || first.some((set) => set.has(code))).map(({ entry }) => entry),
  )
  return { steps, starts, allStarts: entries.map(({ entry }) => entry), memos, slots }
}

/** Can it match nothing? */
function isNullable(node: PatternNode): boolean {
  switch (node.kind) {
    case 'set':
      return false
    case 'sequence':
      return node.nodes.every(isNullable)
    case 'either':
      return node.nodes.some(isNullable)
    case 'repeat':
      return node.least === 0 || isNullable(node.node)
    case 'atomic':
      return isNullable(node.node)
    default:
      return true
  }
}

/** The sets of which one holds the first character of a match; null where a match may begin otherwise, or be empty. */
function firstOf(node: PatternNode): readonly CharacterSet[] | null {
  switch (node.kind) {
    case 'set':
      return [node.set]
    case 'either': {
      const all = node.nodes.map(firstOf)
      return all.every((sets) => sets !== null) ? all.flat() : null
    }
    case 'sequence': {
      const found: CharacterSet[] = []
      for (const each of node.nodes) {
        const isOptional = each.kind === 'repeat' && each.least === 0
        const sets = firstOf(isOptional ? each.node : each)
        if (!sets) return null
        found.push(...sets)
        if (!isOptional) return found
      }
      return null
    }
    case 'repeat':
      return node.least > 0 ? firstOf(node.node) : null
    case 'atomic':
      return firstOf(node.node)
    default:
      return null
  }
}

/** The least and the most units of what a look behind matches. */
function behindLengths(node: PatternNode): readonly [number, number] {
  const lengths = lengthsOf(node)
  if (lengths[1] > longestBehind) throw new PatternFault('looks behind without end')
  return lengths
}

function lengthsOf(node: PatternNode): readonly [number, number] {
  switch (node.kind) {
    case 'set':
      return [1, 2]
    case 'sequence':
      return node.nodes.map(lengthsOf).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0])
    case 'either': {
      const all = node.nodes.map(lengthsOf)
      return [Math.min(...all.map(([least]) => least)), Math.max(...all.map(([, most]) => most))]
    }
    case 'repeat': {
      const [least, most] = lengthsOf(node.node)
      return [least * node.least, most === 0 ? 0 : most * node.most]
    }
    case 'atomic':
      return lengthsOf(node.node)
    default:
      return [0, 0]
  }
}
