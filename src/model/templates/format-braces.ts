import { numeric } from './compare-values.ts'
import { formatPercent } from './format-percent.ts'
import { derived, isText, joined, plain, type Text } from './marked-text.ts'
import { pythonText, representation } from './python-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import { type Arguments, Dict, isList, TemplateFault, tuple, Undefined, type Value } from './template-value.ts'

const field = /\{\{|\}\}|\{([^{}:!]*)(?:!([rsa]))?(?::([^{}]*))?\}|[{}]/g

/** Python's `text.format(…)`: fields by order, number or name, with the fields and indexes of what they hold. */
export function formatBraces(budget: TemplateBudget, format: Text, given: Arguments): Text {
  const text = plain(format)
  const parts: Text[] = []
  let at = 0
  let next = 0
  for (const match of text.matchAll(field)) {
    const [whole, path, conversion, layout = ''] = match
    parts.push(text.slice(at, match.index))
    at = match.index + whole.length
    if (whole === '{{' || whole === '}}') parts.push(whole.slice(1))
    else if (path === undefined) throw new TemplateFault(`a single '${whole}' in a format string`)
    else {
      const value = valueAt(
        path.startsWith('.') || path.startsWith('[') || path === '' ? `${next++}${path}` : path,
        given,
      )
      const shown = conversion === 'r' || conversion === 'a' ? representation(budget, value) : value
      parts.push(laidOut(budget, conversion === 's' ? pythonText(budget, value) : shown, layout))
    }
  }
  parts.push(text.slice(at))
  const whole = joined(parts)
  budget.text(plain(whole).length)
  return typeof format === 'string' ? whole : derived(plain(whole), format)
}

function valueAt(path: string, { positional, named }: Arguments): Value {
  const [first = '', ...rest] = path.split(/[.[]/).map((part) => part.replace(/\]$/, ''))
  let value = /^\d+$/.test(first) ? positional[Number(first)] : named.get(first)
  for (const part of rest)
    if (value instanceof Dict) value = value.get(part)
    else value = value !== undefined && isList(value) ? value[Number(part)] : undefined
  if (value === undefined) throw new TemplateFault(`a format string asks for ${path || 'a value'}, which is not given`)
  return value
}

const specification = /^(?:(.)?([<>^=]))?([-+ ]?)(#?)(0?)(\d*)(,?)(?:\.(\d+))?([a-zA-Z%]?)$/su

function laidOut(budget: TemplateBudget, value: Value, layout: string): Text {
  if (value instanceof Undefined || layout === '') return pythonText(budget, value)
  const match = specification.exec(layout)
  if (!match) throw new TemplateFault(`invalid format specifier '${layout}'`)
  const [, fill, align, sign = '', alternate = '', zero = '', width = '', comma, precision, kind = ''] = match
  budget.text(Number(width))
  const number = isText(value) ? null : numeric(value)
  const shown = number === null ? cut(pythonText(budget, value), precision) : digits()
  const missing = Number(width) - Array.from(plain(shown)).length
  if (missing <= 0) return shown
  const letter = fill ?? (zero || ' ')
  const side = align ?? (zero ? '=' : number === null ? '<' : '>')
  if (side === '<') return joined([shown, letter.repeat(missing)])
  if (side === '^')
    return joined([letter.repeat(Math.floor(missing / 2)), shown, letter.repeat(Math.ceil(missing / 2))])
  const signs = side === '=' ? (/^[-+ ]/.exec(plain(shown))?.[0] ?? '') : ''
  return joined([signs, letter.repeat(missing), derived(plain(shown).slice(signs.length), shown)])

  function digits(): Text {
    const plainKind = kind === '' || kind === 'n' ? (precision === undefined ? 's' : 'g') : kind
    const places = precision === undefined || plainKind === 's' ? '' : `.${precision}`
    const percent = plainKind === '%'
    const of = percent ? (number ?? 0) * 100 : value
    const flags = `${sign === '-' ? '' : sign}${alternate}`
    const positive = plainKind === 's' && sign !== '' && sign !== '-' && (number ?? 0) >= 0 ? sign : ''
    const text = plain(formatPercent(budget, `%${flags}${places}${percent ? 'f' : plainKind}`, tuple([of])))
    const grouped = comma ? text.replace(/\d+/, (all) => all.replace(/\B(?=(?:\d{3})+$)/g, ',')) : text
    return positive + grouped + (percent ? '%' : '')
  }
}

const cut = (text: Text, precision: string | undefined): Text =>
  precision === undefined ? text : derived(Array.from(plain(text)).slice(0, Number(precision)).join(''), text)
