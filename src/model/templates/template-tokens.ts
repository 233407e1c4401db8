import { TemplateFault } from './template-value.ts'

export type TemplateTokenKind =
  | 'data'
  | 'block-begin'
  | 'block-end'
  | 'output-begin'
  | 'output-end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'end'

export interface TemplateToken {
  readonly kind: TemplateTokenKind
  readonly text: string
  readonly line: number
}

const whitespace = /\s*/y
const rawBegin = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})/y
const rawEnd = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/g
const blockEnd = /\+%\}|-%\}\s*|%\}\n?/y
const outputEnd = /-\}\}\s*|\}\}/y
const inside: readonly (readonly [TemplateTokenKind, RegExp])[] = [
  ['float', /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?[eE][+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/y],
  ['integer', /0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\da-fA-F])+|[1-9](?:_?\d)*|0(?:_?0)*/y],
  ['name', /[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Nd}\p{M}\p{Pc}]*/uy],
  ['string', /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/y],
  ['operator', /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,]/y],
]
const opens: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/**
 * The tokens of a template, with white space as transformers wants it of jinja2: `trim_blocks` (a line break after a block
 * is left out) and `lstrip_blocks` (so are spaces before a block that begins a line), unless a sign in the tag says
 * otherwise; one line break at the end is left out.
 */
export function templateTokens(source: string): readonly TemplateToken[] {
  const text = source.replace(/\r\n?/g, '\n').replace(/\n$/, '')
  const tokens: TemplateToken[] = []
  let at = 0
  let line = 1
  let counted = 0
  const add = (kind: TemplateTokenKind, part: string, position: number) => {
    for (; counted < position; counted++) if (text[counted] === '\n') line++
    tokens.push({ kind, text: part, line })
  }
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0] ?? null
  }
  const fault = (message: string) => {
    add('end', '', Math.min(at, text.length))
    return new TemplateFault(`line ${line}: ${message}`)
  }
  const addData = (end: number, sign: string | undefined, isBlock: boolean, lineStarts: boolean) => {
    let data = text.slice(at, end)
    if (sign === '-') data = data.trimEnd()
    else if (sign !== '+' && isBlock) {
      const begin = data.lastIndexOf('\n') + 1
      if ((begin > 0 || lineStarts) && data.slice(begin).trim() === '') data = data.slice(0, begin)
    }
    if (data !== '') add('data', data, at)
  }

  let lineStarts = true
  while (at < text.length) {
    const begin = nextTag(text, at)
    if (begin < 0) {
      add('data', text.slice(at), at)
      break
    }
    const mark = text[begin + 1]
    const sign = text[begin + 2]
    addData(begin, sign, mark !== '{', lineStarts)
    at = begin
    const raw = match(rawBegin)
    if (raw !== null) {
      at += raw.length
      rawEnd.lastIndex = at
      const ends = rawEnd.exec(text)
      if (!ends) throw fault('raw has no endraw')
      addData(ends.index, ends[1], true, false)
      at = rawEnd.lastIndex
      lineStarts = text[at - 1] === '\n'
      continue
    }
    at += sign === '-' || sign === '+' ? 3 : 2
    if (mark === '#') {
      const close = text.indexOf('#}', at)
      if (close < 0) throw fault('a comment has no end')
      const before = close > at ? text[close - 1] : ''
      at = close + 2
      if (before === '-') at += match(whitespace)?.length ?? 0
      else if (before !== '+' && text[at] === '\n') at++
      lineStarts = text[at - 1] === '\n'
      continue
    }
    const isOutput = mark === '{'
    add(isOutput ? 'output-begin' : 'block-begin', '', begin)
    const end = tagTokens(isOutput)
    add(isOutput ? 'output-end' : 'block-end', '', at)
    at += end.length
    lineStarts = end.endsWith('\n')
  }
  add('end', '', text.length)
  return tokens

  /** Up to the end of the tag, which is given back; `}}` within braces of a dict ends none. */
  function tagTokens(isOutput: boolean): string {
    const closing: string[] = []
    for (;;) {
      at += match(whitespace)?.length ?? 0
      const end = closing.length === 0 ? match(isOutput ? outputEnd : blockEnd) : null
      if (end !== null) return end
      const found = inside.find(([, pattern]) => match(pattern) !== null)
      if (!found) throw fault(at < text.length ? `unexpected character '${text[at]}'` : 'a tag has no end')
      const part = match(found[1]) ?? ''
      if (found[0] === 'operator') {
        if (opens[part]) closing.push(opens[part])
        else if (')]}'.includes(part) && closing.pop() !== part) throw fault(`unexpected '${part}'`)
      }
      add(found[0], part, at)
      at += part.length
    }
  }
}

function nextTag(text: string, from: number): number {
  for (let at = text.indexOf('{', from); at >= 0; at = text.indexOf('{', at + 1))
    if (text[at + 1] === '{' || text[at + 1] === '%' || text[at + 1] === '#') return at
  return -1
}
