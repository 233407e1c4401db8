import { numeric } from './compare-values.ts'
import { derived, isText, joined, plain, type Text } from './marked-text.ts'
import { pythonText, representation } from './python-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import { Dict, TemplateFault, Tuple, typeName, type Value } from './template-value.ts'

const directive = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d*)(?:\.(\*|\d+))?([a-zA-Z%])/g

/** Python's `text % values`: a tuple gives one value for each directive, a dict those that are named in brackets. */
export function formatPercent(budget: TemplateBudget, format: Text, values: Value): Text {
  const text = plain(format)
  const list = values instanceof Tuple ? [...values] : [values]
  const parts: Text[] = []
  let at = 0
  let used = 0
  const take = () => {
    if (used >= list.length) throw new TemplateFault('not enough arguments for format string')
    return list[used++] ?? null
  }
  for (const match of text.matchAll(directive)) {
    const [whole, key, flags = '', width = '', precision, kind = ''] = match
    parts.push(text.slice(at, match.index))
    at = match.index + whole.length
    if (kind === '%') {
      parts.push('%')
      continue
    }
    const wide = width === '*' ? Number(numeric(take()) ?? 0) : Number(width)
    const digits = precision === '*' ? Number(numeric(take()) ?? 0) : precision === undefined ? null : Number(precision)
    const value = key === undefined ? take() : valueNamed(values, key)
    const shown = oneValue(budget, kind, flags, digits, value)
    budget.text(Math.max(Math.abs(wide), plain(shown).length))
    parts.push(padded(shown, Math.abs(wide), flags + (wide < 0 ? '-' : ''), 'diufFeEgGxXo'.includes(kind)))
  }
  parts.push(text.slice(at))
  if (text.replace(directive, '').includes('%')) throw new TemplateFault('incomplete format')
  if (used < list.length && !(values instanceof Dict))
    throw new TemplateFault('not all arguments converted during string formatting')
  const whole = joined(parts)
  budget.text(plain(whole).length)
  return typeof format === 'string' ? whole : derived(plain(whole), format)
}

function valueNamed(values: Value, key: string): Value {
  if (!(values instanceof Dict)) throw new TemplateFault('format requires a mapping')
  const value = values.get(key)
  if (value === undefined) throw new TemplateFault(`'${key}' is not among the values of a format`)
  return value
}

function oneValue(budget: TemplateBudget, kind: string, flags: string, digits: number | null, value: Value): Text {
  if (kind === 's') return cut(pythonText(budget, value), digits)
  if (kind === 'r' || kind === 'a') return cut(representation(budget, value), digits)
  if (kind === 'c') return isText(value) ? value : String.fromCodePoint(numeric(value) ?? 0)
  const number = numeric(value)
  if (number === null) throw new TemplateFault(`%${kind} format: a number is required, not ${typeName(value)}`)
  const sign = number < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
  return sign + size(kind, flags, Math.min(100, digits ?? 6), Math.abs(number))
}

function size(kind: string, flags: string, digits: number, number: number): string {
  const prefix = (text: string) => (flags.includes('#') ? text : '')
  switch (kind) {
    case 'd':
    case 'i':
    case 'u':
      return BigInt(Math.trunc(number)).toString()
    case 'x':
      return prefix('0x') + Math.trunc(number).toString(16)
    case 'X':
      return prefix('0X') + Math.trunc(number).toString(16).toUpperCase()
    case 'o':
      return prefix('0o') + Math.trunc(number).toString(8)
    case 'f':
    case 'F':
      return number.toFixed(digits)
    case 'e':
    case 'E': {
      const text = number.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2')
      return kind === 'E' ? text.toUpperCase() : text
    }
    case 'g':
    case 'G': {
      const text = general(number, Math.max(1, digits))
      return kind === 'G' ? text.toUpperCase() : text
    }
    default:
      throw new TemplateFault(`unsupported format character '${kind}'`)
  }
}

/** So many significant digits, without zeros at the end; with an exponent where the number is very small or large. */
function general(number: number, digits: number): string {
  const exponent = number === 0 ? 0 : Number(number.toExponential(digits - 1).split('e')[1])
  if (exponent >= -4 && exponent < digits) {
    const text = number.toFixed(digits - 1 - exponent)
    return text.includes('.') ? text.replace(/\.?0+$/, '') : text
  }
  return number
    .toExponential(digits - 1)
    .replace(/\.?0+e/, 'e')
    .replace(/e([+-])(\d)$/, 'e$10$2')
}

const cut = (text: Text, digits: number | null): Text =>
  digits === null ? text : derived(Array.from(plain(text)).slice(0, digits).join(''), text)

function padded(text: Text, width: number, flags: string, isNumber: boolean): Text {
  const missing = width - Array.from(plain(text)).length
  if (missing <= 0) return text
  if (flags.includes('-')) return joined([text, ' '.repeat(missing)])
  if (!flags.includes('0') || !isNumber) return joined([' '.repeat(missing), text])
  const [, sign = '', digits = ''] = /^([-+ ]?)(.*)$/s.exec(plain(text)) ?? []
  return sign + '0'.repeat(missing) + digits
}
