import { plain, sliced, type Text } from './marked-text.ts'

const pairs = /[\ud800-\udfff]/

/** Python counts characters where JavaScript counts halves of them: how many there are. */
export function lengthOf(text: Text): number {
  const own = plain(text)
  if (!pairs.test(own)) return own.length
  let count = 0
  for (const _ of own) count++
  return count
}

/** Where the character of each index begins, and the end; null where every character is one unit. */
export function offsetsOf(text: Text): readonly number[] | null {
  const own = plain(text)
  if (!pairs.test(own)) return null
  const offsets: number[] = []
  let at = 0
  for (const character of own) {
    offsets.push(at)
    at += character.length
  }
  offsets.push(at)
  return offsets
}

/** The indexes of a slice of so many items, as Python takes its three bounds. */
export function sliceIndexes(
  length: number,
  start: number | null,
  stop: number | null,
  step: number,
): { readonly first: number; readonly count: number } {
  const clamp = (bound: number, low: number, high: number) =>
    Math.min(high, Math.max(low, bound < 0 ? bound + length : bound))
  if (step > 0) {
    const first = clamp(start ?? 0, 0, length)
    return { first, count: Math.max(0, Math.ceil((clamp(stop ?? length, 0, length) - first) / step)) }
  }
  const first = clamp(start ?? length - 1, -1, length - 1)
  const last = stop === null ? -1 : clamp(stop, -1, length - 1)
  return { first, count: Math.max(0, Math.ceil((first - last) / -step)) }
}

/** White space as `str.strip` and `str.split` have it. */
export function isSpace(code: number): boolean {
  return (
    (code >= 0x09 && code <= 0x0d) ||
    (code >= 0x1c && code <= 0x20) ||
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  )
}

/** Without characters of a set at its ends; white space where none is given. */
export function stripped(text: Text, characters: string | null, left: boolean, right: boolean): Text {
  const own = plain(text)
  const set = characters === null ? null : new Set(characters)
  const drops = (from: number, to: number) =>
    set ? set.has(own.slice(from, to)) : to - from === 1 && isSpace(own.charCodeAt(from))
  let start = 0
  let end = own.length
  while (left && start < end) {
    const next = start + ((own.codePointAt(start) ?? 0) > 0xffff ? 2 : 1)
    if (!drops(start, next)) break
    start = next
  }
  while (right && end > start) {
    const before = end - (end - start > 1 && (own.codePointAt(end - 2) ?? 0) > 0xffff ? 2 : 1)
    if (!drops(before, end)) break
    end = before
  }
  return start === 0 && end === own.length ? text : sliced(text, start, end)
}
