import { bindArguments } from './bind-arguments.ts'
import { isSpace, lengthOf, offsetsOf, sliceIndexes, stripped } from './code-points.ts'
import { listOf } from './compare-values.ts'
import { formatBraces } from './format-braces.ts'
import { derived, joined, plain, sliced, type Text } from './marked-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import {
  type Arguments,
  plainOf,
  TemplateFault,
  Tuple,
  textOf,
  tuple,
  type Value,
  wholeNumber,
} from './template-value.ts'

interface StringMethod {
  readonly parameters: readonly string[]
  readonly run: (self: Text, given: readonly (Value | undefined)[], budget: TemplateBudget) => Value
}

/** A method of Python's `str` by its name; undefined where there is none of this name, or none that a template may need. */
export function stringMethod(
  budget: TemplateBudget,
  self: Text,
  name: string,
): ((given: Arguments) => Value) | undefined {
  if (name === 'format') return (given) => formatBraces(budget, self, given)
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  if (!method) return undefined
  return (given) => {
    budget.text(plain(self).length)
    return method.run(self, bindArguments(name, given, method.parameters), budget)
  }
}

/** Cuts at `separator`, or at white space where it is null; at most so often. */
export function splitText(budget: TemplateBudget, self: Text, separator: string | null, most: number): Text[] {
  if (separator === null) return splitAtSpaces(budget, self, most)
  if (separator === '') throw new TemplateFault('empty separator')
  const text = plain(self)
  const parts: Text[] = []
  let at = 0
  for (let cuts = 0; cuts < most; cuts++) {
    const next = text.indexOf(separator, at)
    if (next < 0) break
    budget.spend(1)
    parts.push(sliced(self, at, next))
    at = next + separator.length
  }
  parts.push(sliced(self, at, text.length))
  return parts
}

/** Each `part` in place of another; `most` below 0 for all. */
export function replaceText(budget: TemplateBudget, self: Text, part: Text, other: Text, most: number): Text {
  const from = plain(part)
  const limit = most < 0 ? Number.POSITIVE_INFINITY : most
  if (from === '') return replaceBetween(budget, self, other, limit)
  const pieces = splitText(budget, self, from, limit)
  budget.text(plain(self).length + (pieces.length - 1) * plain(other).length)
  return joined(pieces.flatMap((piece, i) => (i === 0 ? [piece] : [other, piece])))
}

function replaceBetween(budget: TemplateBudget, self: Text, other: Text, most: number): Text {
  const letters = listOf(budget, self).map((each) => textOf(each, 'replace'))
  budget.text(plain(self).length + (letters.length + 1) * plain(other).length)
  const parts = letters.flatMap((letter, i) => (i < most ? [other, letter] : [letter]))
  return joined(letters.length < most ? [...parts, other] : parts)
}

function splitAtSpaces(budget: TemplateBudget, self: Text, most: number): Text[] {
  const text = plain(self)
  const parts: Text[] = []
  let at = 0
  for (;;) {
    while (at < text.length && isSpace(text.charCodeAt(at))) at++
    if (at >= text.length) return parts
    budget.spend(1)
    if (parts.length >= most) {
      parts.push(sliced(self, at, text.length))
      return parts
    }
    const start = at
    while (at < text.length && !isSpace(text.charCodeAt(at))) at++
    parts.push(sliced(self, start, at))
  }
}

const optionalText = (value: Value | undefined, what: string): string | null =>
  value === undefined || value === null ? null : plainOf(value, what)
const number = (value: Value | undefined, fallback: number, what: string) =>
  value === undefined || value === null ? fallback : wholeNumber(value, what)
const limit = (value: Value | undefined) => {
  const most = number(value, -1, 'maxsplit')
  return most < 0 ? Number.POSITIVE_INFINITY : most
}

const changed = (change: (text: string) => string): StringMethod => ({
  parameters: [],
  run: (self) => derived(change(plain(self)), self),
})
const asked = (test: (text: string) => boolean): StringMethod => ({ parameters: [], run: (self) => test(plain(self)) })
const every = (pattern: RegExp) => asked((text) => pattern.test(text))
const strip = (left: boolean, right: boolean): StringMethod => ({
  parameters: ['chars'],
  run: (self, [chars]) => stripped(self, optionalText(chars, 'chars'), left, right),
})

/** What a text begins or ends with: one text, or one of a tuple. */
const edge = (holds: (text: string, part: string) => boolean): StringMethod => ({
  parameters: ['prefix', 'start', 'end'],
  run(self, [part = null, start, end], budget) {
    const text = plain(bounded(self, start, end))
    const parts = part instanceof Tuple ? listOf(budget, part) : [part]
    return parts.some((each) => holds(text, plainOf(each, 'prefix')))
  },
})

function bounded(self: Text, start: Value | undefined, end: Value | undefined): Text {
  if (start === undefined && end === undefined) return self
  const offsets = offsetsOf(self)
  const length = offsets ? offsets.length - 1 : plain(self).length
  const { first, count } = sliceIndexes(length, number(start, 0, 'start'), number(end, length, 'end'), 1)
  const at = (index: number) => offsets?.[index] ?? index
  return sliced(self, at(first), at(first + count))
}

const search = (last: boolean, fails: boolean): StringMethod => ({
  parameters: ['sub', 'start', 'end'],
  run(self, [sub = null, start, end]) {
    const own = bounded(self, start, end)
    const from = start === undefined ? 0 : lengthOf(bounded(self, 0, start))
    const part = plainOf(sub, 'sub')
    const at = last ? plain(own).lastIndexOf(part) : plain(own).indexOf(part)
    if (at < 0 && fails) throw new TemplateFault('substring not found')
    return at < 0 ? -1 : from + lengthOf(plain(own).slice(0, at))
  },
})

const fill = (place: (missing: number) => readonly [number, number]): StringMethod => ({
  parameters: ['width', 'fillchar'],
  run(self, [width = null, character], budget) {
    const missing = wholeNumber(width, 'width') - lengthOf(self)
    if (missing <= 0) return self
    budget.text(missing)
    const letter = optionalText(character, 'fillchar') ?? ' '
    const [before, after] = place(missing)
    return joined([letter.repeat(before), self, letter.repeat(after)])
  },
})

const partition = (last: boolean): StringMethod => ({
  parameters: ['sep'],
  run(self, [separator = null]) {
    const part = plainOf(separator, 'sep')
    if (part === '') throw new TemplateFault('empty separator')
    const text = plain(self)
    const at = last ? text.lastIndexOf(part) : text.indexOf(part)
    if (at < 0) return last ? tuple(['', '', self]) : tuple([self, '', ''])
    const end = at + part.length
    return tuple([sliced(self, 0, at), sliced(self, at, end), sliced(self, end, text.length)])
  },
})

// biome-ignore lint/suspicious/noControlCharactersInRegex: Python's lines end at separators of files, groups and records too
const lineBreak = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g
const cased = (text: string) => text.toLowerCase() !== text.toUpperCase()
const titled = (text: string) =>
  text.replace(/\p{L}+/gu, (word) => {
    const [first = '', ...rest] = word
    return first.toUpperCase() + rest.join('').toLowerCase()
  })
const capital = (text: string) => {
  const [first = '', ...rest] = text
  return first.toUpperCase() + rest.join('').toLowerCase()
}

const methods: Readonly<Record<string, StringMethod>> = {
  strip: strip(true, true),
  lstrip: strip(true, false),
  rstrip: strip(false, true),
  split: {
    parameters: ['sep', 'maxsplit'],
    run: (self, [sep, most], budget) => splitText(budget, self, optionalText(sep, 'sep'), limit(most)),
  },
  rsplit: {
    parameters: ['sep', 'maxsplit'],
    run(self, [sep, most], budget) {
      const separator = optionalText(sep, 'sep')
      const all = splitText(budget, self, separator, Number.POSITIVE_INFINITY)
      if (limit(most) >= all.length) return all
      // what is not cut is what stands before the cuts
      const tail = all.slice(all.length - limit(most))
      if (separator === null) {
        let head = stripped(self, null, false, true)
        for (const part of tail.toReversed())
          head = stripped(sliced(head, 0, plain(head).length - plain(part).length), null, false, true)
        return [head, ...tail]
      }
      const length = tail.reduce((sum, part) => sum + plain(part).length + separator.length, 0)
      return [sliced(self, 0, plain(self).length - length), ...tail]
    },
  },
  splitlines: {
    parameters: ['keepends'],
    run(self, [keep]) {
      const lines: Text[] = []
      let at = 0
      for (const match of plain(self).matchAll(lineBreak)) {
        lines.push(sliced(self, at, match.index + (keep === true ? match[0].length : 0)))
        at = match.index + match[0].length
      }
      if (at < plain(self).length) lines.push(sliced(self, at, plain(self).length))
      return lines
    },
  },
  replace: {
    parameters: ['old', 'new', 'count'],
    run: (self, [old = null, other = null, count], budget) =>
      replaceText(budget, self, textOf(old, 'old'), textOf(other, 'new'), number(count, -1, 'count')),
  },
  join: {
    parameters: ['iterable'],
    run(self, [list = null], budget) {
      const parts = listOf(budget, list).map((each) => textOf(each, 'an item of join'))
      const length = parts.reduce((sum, part) => sum + plain(part).length, parts.length * plain(self).length)
      budget.text(length)
      return joined(parts.flatMap((part, i) => (i === 0 ? [part] : [self, part])))
    },
  },
  startswith: edge((text, part) => text.startsWith(part)),
  endswith: edge((text, part) => text.endsWith(part)),
  removeprefix: {
    parameters: ['prefix'],
    run(self, [prefix = null]) {
      const part = plainOf(prefix, 'prefix')
      return plain(self).startsWith(part) ? sliced(self, part.length, plain(self).length) : self
    },
  },
  removesuffix: {
    parameters: ['suffix'],
    run(self, [suffix = null]) {
      const part = plainOf(suffix, 'suffix')
      return part !== '' && plain(self).endsWith(part) ? sliced(self, 0, plain(self).length - part.length) : self
    },
  },
  find: search(false, false),
  rfind: search(true, false),
  index: search(false, true),
  rindex: search(true, true),
  count: {
    parameters: ['sub'],
    run(self, [sub = null], budget) {
      const part = plainOf(sub, 'sub')
      return part === '' ? lengthOf(self) + 1 : splitText(budget, self, part, Number.POSITIVE_INFINITY).length - 1
    },
  },
  partition: partition(false),
  rpartition: partition(true),
  ljust: fill((missing) => [0, missing]),
  rjust: fill((missing) => [missing, 0]),
  center: fill((missing) => [Math.floor(missing / 2), Math.ceil(missing / 2)]),
  zfill: {
    parameters: ['width'],
    run(self, [width = null], budget) {
      const missing = wholeNumber(width, 'width') - lengthOf(self)
      if (missing <= 0) return self
      budget.text(missing)
      const signs = /^[-+]/.test(plain(self)) ? 1 : 0
      return joined([sliced(self, 0, signs), '0'.repeat(missing), sliced(self, signs, plain(self).length)])
    },
  },
  upper: changed((text) => text.toUpperCase()),
  lower: changed((text) => text.toLowerCase()),
  casefold: changed((text) => text.toLowerCase().replaceAll('ß', 'ss')),
  title: changed(titled),
  capitalize: changed(capital),
  swapcase: changed((text) =>
    Array.from(text, (letter) => (letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase())).join(
      '',
    ),
  ),
  isalpha: every(/^\p{L}+$/u),
  isdigit: every(/^[\p{Nd}²³¹⁰-⁹₀-₉]+$/u),
  isdecimal: every(/^\p{Nd}+$/u),
  isnumeric: every(/^\p{N}+$/u),
  isalnum: every(/^[\p{L}\p{N}]+$/u),
  isascii: asked((text) => !/[^\0-\x7f]/.test(text)),
  isspace: asked((text) => text !== '' && Array.from(text).every((letter) => isSpace(letter.charCodeAt(0)))),
  isupper: asked((text) => cased(text) && text === text.toUpperCase()),
  islower: asked((text) => cased(text) && text === text.toLowerCase()),
  istitle: asked((text) => cased(text) && text === titled(text)),
  isidentifier: every(/^[\p{L}_][\p{L}\p{N}_]*$/u),
}
