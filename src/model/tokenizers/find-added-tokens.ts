import type { AddedToken } from './added-tokens.ts'

/** Which parts of a text hold no special tokens: all of it, none, or those from a begin to an end, in order. */
export type TextParts = boolean | readonly (readonly [number, number])[]

/** A part of a text: an added token, or text between two. */
export type TextSegment = { readonly token: AddedToken } | { readonly text: string; readonly start: number }

interface Node {
  readonly next: Map<number, Node>
  token?: AddedToken
}

const wordBefore = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D]$/u
const wordAfter = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D]/u
const isSpace = /[\t-\r\x20\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]/

/**
 * Finds added tokens in texts: from left to right, of those that begin at a place the longest, as Hugging Face's tokenizers
 * do. `specialAsText`: special tokens are text like any other.
 */
export function findAddedTokens(
  tokens: readonly AddedToken[],
): (text: string, specialAsText: TextParts) => Iterable<TextSegment> {
  const root: Node = { next: new Map() }
  // most letters begin no token
  const begins = new Uint8Array(2 ** 16)
  for (const token of tokens) if (token.content !== '') insert(root, begins, token)
  if (root.next.size === 0) return (text) => (text === '' ? [] : [{ text, start: 0 }])

  return function* (text, specialAsText) {
    let done = 0
    for (let at = 0; at < text.length; at++) {
      if (begins[text.charCodeAt(at)] === 0) continue
      const token = longest(root, text, at)
      if (!token) continue
      const end = at + token.content.length
      const asText = token.special ? coverage(specialAsText, at, end) : 'none'
      const taken = asText === 'none' && !(token.singleWord && isInWord(text, at, end))
      if (taken) {
        let [from, to] = [at, end]
        if (token.lstrip) while (from > done && isSpace.test(text[from - 1] ?? '')) from--
        if (token.rstrip) while (to < text.length && isSpace.test(text[to] ?? '')) to++
        if (from > done) yield { text: text.slice(done, from), start: done }
        yield { token }
        done = to
      }
      // what is half in a part is no token, but one may begin in its other half
      at = Math.max(asText === 'half' ? at + 1 : end, done) - 1
    }
    if (done < text.length) yield { text: text.slice(done), start: done }
  }
}

/** How much of [start, end) is in the parts. */
function coverage(parts: TextParts, start: number, end: number): 'none' | 'half' | 'all' {
  if (typeof parts === 'boolean') return parts ? 'all' : 'none'
  let [low, high] = [0, parts.length]
  // the first part that ends after the start
  while (low < high) {
    const middle = (low + high) >> 1
    if ((parts[middle]?.[1] ?? 0) > start) high = middle
    else low = middle + 1
  }
  const part = parts[low]
  if (!part || part[0] >= end) return 'none'
  return part[0] <= start && part[1] >= end ? 'all' : 'half'
}

function insert(root: Node, begins: Uint8Array, token: AddedToken): void {
  let node = root
  for (let i = 0; i < token.content.length; i++) {
    const unit = token.content.charCodeAt(i)
    let next = node.next.get(unit)
    if (!next) {
      next = { next: new Map() }
      node.next.set(unit, next)
    }
    node = next
  }
  node.token = token
  begins[token.content.charCodeAt(0)] = 1
}

function longest(root: Node, text: string, from: number): AddedToken | undefined {
  let found: AddedToken | undefined
  let node = root.next.get(text.charCodeAt(from))
  for (let at = from + 1; node; at++) {
    found = node.token ?? found
    node = at < text.length ? node.next.get(text.charCodeAt(at)) : undefined
  }
  return found
}

/** Two units hold any character. */
function isInWord(text: string, start: number, end: number): boolean {
  return wordBefore.test(text.slice(Math.max(0, start - 2), start)) || wordAfter.test(text.slice(end, end + 2))
}
