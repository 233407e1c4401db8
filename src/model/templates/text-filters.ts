import { isSpace, lengthOf, sliceIndexes, stripped } from './code-points.ts'
import { listOf } from './compare-values.ts'
import { formatPercent } from './format-percent.ts'
import { derived, isText, joined, plain, sliced } from './marked-text.ts'
import { pythonText } from './python-text.ts'
import { replaceText, stringMethod } from './string-methods.ts'
import type { FilterContext, TemplateFilter } from './template-filter.ts'
import { Dict, isList, TemplateFault, textOf, tuple, type Value, wholeNumber } from './template-value.ts'
import { toJson } from './to-json.ts'

/** Filters of jinja2 that make a text; a value that is none is written as Python writes it first. */
const method = (name: string, parameters: readonly string[] = []): TemplateFilter => ({
  parameters,
  run({ budget }, value, given) {
    const call = stringMethod(budget, pythonText(budget, value), name)
    const positional = given.filter((each): each is Value => each !== undefined)
    return call?.({ positional, named: new Map() }) ?? ''
  },
})

export const textFilters: Readonly<Record<string, TemplateFilter>> = {
  upper: method('upper'),
  lower: method('lower'),
  capitalize: method('capitalize'),
  title: {
    parameters: [],
    // a word begins after white space, a hyphen or an opening bracket
    run({ budget }, value) {
      const text = pythonText(budget, value)
      const titled = plain(text).replace(/[^-\s({[<]+/gu, (word) => {
        const [first = '', ...rest] = word
        return first.toUpperCase() + rest.join('').toLowerCase()
      })
      return derived(titled, text)
    },
  },
  trim: {
    parameters: ['chars'],
    run({ budget }, value, [chars = null]) {
      const text = pythonText(budget, value)
      budget.text(plain(text).length)
      return stripped(text, chars === null ? null : plain(textOf(chars, 'chars')), true, true)
    },
  },
  string: { parameters: [], run: ({ budget }, value) => pythonText(budget, value) },
  safe: { parameters: [], run: ({ budget }, value) => pythonText(budget, value) },
  escape: { parameters: [], run: escaped },
  e: { parameters: [], run: escaped },
  forceescape: { parameters: [], run: escaped },
  replace: {
    parameters: ['old', 'new', 'count'],
    run({ budget }, value, [old = null, other = null, count = null]) {
      const most = count === null ? -1 : wholeNumber(count, 'count')
      return replaceText(budget, pythonText(budget, value), pythonText(budget, old), pythonText(budget, other), most)
    },
  },
  format: {
    parameters: null,
    run({ budget }, value, given, named) {
      if (given.length > 0 && named.size > 0)
        throw new TemplateFault("can't handle positional and keyword arguments at the same time")
      const dict = new Dict()
      for (const [key, each] of named) dict.set(key, each)
      const values = given.map((each) => each ?? null)
      return formatPercent(budget, pythonText(budget, value), named.size > 0 ? dict : tuple(values))
    },
  },
  indent: {
    parameters: ['width', 'first', 'blank'],
    run({ budget }, value, [width = 4, first = false, blank = false]) {
      const text = textOf(value, 'indent')
      const indent = isText(width) ? width : spaces(width)
      const lines = plain(text).split('\n')
      budget.text(plain(text).length + lines.length * plain(indent).length)
      let at = 0
      const parts = lines.flatMap((line, i) => {
        const own = sliced(text, at, at + line.length)
        at += line.length + 1
        const isIndented = i === 0 ? first === true : line !== '' || blank === true
        return [...(i > 0 ? ['\n'] : []), ...(isIndented ? [indent] : []), own]
      })
      return joined(parts)
    },
  },
  center: method('center', ['width']),
  truncate: {
    parameters: ['length', 'killwords', 'end', 'leeway'],
    run({ budget }, value, [length = 255, killWords = false, end = '...', leeway = 5]) {
      const text = pythonText(budget, value)
      const most = wholeNumber(length, 'length')
      const tail = textOf(end, 'end')
      if (lengthOf(text) <= most + wholeNumber(leeway, 'leeway')) return text
      const { count } = sliceIndexes(lengthOf(text), 0, most - lengthOf(tail), 1)
      const kept = Array.from(plain(text)).slice(0, count).join('')
      const space = kept.lastIndexOf(' ')
      return joined([sliced(text, 0, killWords !== true && space >= 0 ? space : kept.length), tail])
    },
  },
  wordcount: {
    parameters: [],
    run: ({ budget }, value) => plain(pythonText(budget, value)).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0,
  },
  wordwrap: {
    parameters: ['width'],
    run({ budget }, value, [width = 79]) {
      const text = pythonText(budget, value)
      budget.text(plain(text).length)
      return derived(wrapped(plain(text), Math.max(1, wholeNumber(width, 'width'))), text)
    },
  },
  urlencode: {
    parameters: [],
    run({ budget }, value) {
      const code = (part: Value) => {
        const text = pythonText(budget, part)
        const isWord = /^[A-Za-z0-9_.~/-]$/
        return Array.from(plain(text), (letter) => (isWord.test(letter) ? letter : percent(letter))).join('')
      }
      if (isText(value)) return derived(code(value), value)
      const pairs = value instanceof Dict ? value.items() : listOf(budget, value)
      return pairs.map((pair) => listOf(budget, pair).map(code).join('=')).join('&')
    },
  },
  tojson: {
    parameters: ['ensure_ascii', 'indent', 'separators', 'sort_keys'],
    run({ budget }, value, [ascii = false, indent = null, separators = null, sortKeys = false]) {
      const pair = isList(separators) ? separators.map((each) => plain(textOf(each, 'a separator'))) : null
      const step = isText(indent) ? plain(indent) : indent === null ? null : spaces(indent)
      return toJson(budget, value, {
        indent: step,
        itemSeparator: pair?.[0] ?? (step === null ? ', ' : ','),
        keySeparator: pair?.[1] ?? ': ',
        ascii: ascii === true,
        sortKeys: sortKeys === true,
      })
    },
  },
}

function escaped({ budget }: FilterContext, value: Value): Value {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' }
  const text = pythonText(budget, value)
  return derived(
    plain(text).replace(/[&<>'"]/g, (letter) => names[letter] ?? letter),
    text,
  )
}

/** So many spaces of indentation. */
function spaces(width: Value): string {
  const count = wholeNumber(width, 'a width of indentation')
  if (count > 1000) throw new TemplateFault(`a width of indentation is ${count}; at most 1000 are written`)
  return ' '.repeat(Math.max(0, count))
}

const percent = (letter: string) =>
  Array.from(new TextEncoder().encode(letter), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(
    '',
  )

/** Lines of at most so many letters, broken at spaces; a longer word is broken anywhere. */
function wrapped(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => {
      const lines: string[] = []
      let rest = line
      while (rest.length > width) {
        let end = width
        while (end > 0 && !isSpace(rest.charCodeAt(end))) end--
        lines.push((end > 0 ? rest.slice(0, end) : rest.slice(0, width)).trimEnd())
        rest = end > 0 ? rest.slice(end).trimStart() : rest.slice(width)
      }
      return [...lines, rest].join('\n')
    })
    .join('\n')
}
