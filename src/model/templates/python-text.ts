import { derived, isText, plain, type Text } from './marked-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import {
  Callable,
  Dict,
  Float,
  isList,
  Namespace,
  TemplateFault,
  Tuple,
  Undefined,
  type Value,
} from './template-value.ts'

/** Python's `str(value)`, as a template writes it. */
export function pythonText(budget: TemplateBudget, value: Value): Text {
  if (isText(value)) return value
  if (value instanceof Undefined) return ''
  return representation(budget, value)
}

/** Python's `repr(value)`: given as a whole where something in it was. */
export function representation(budget: TemplateBudget, value: Value): Text {
  const texts: Text[] = []
  const text = write(budget, value, texts, 0)
  budget.text(text.length)
  return derived(text, ...texts)
}

function write(budget: TemplateBudget, value: Value, texts: Text[], depth: number): string {
  budget.spend(1)
  if (depth > 100) throw new TemplateFault('a value is nested more than 100 levels deep')
  const inner = (each: Value) => write(budget, each, texts, depth + 1)
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number' || value instanceof Float) return numberText(value)
  if (isText(value)) {
    texts.push(value)
    // escapes make it longer, up to ten times
    budget.text(plain(value).length * 4)
    return quoted(plain(value))
  }
  if (value instanceof Undefined) return 'Undefined'
  if (value instanceof Dict) {
    const entries = Array.from(value.entries.values(), ([key, each]) => `${inner(key)}: ${inner(each)}`)
    return `{${entries.join(', ')}}`
  }
  if (value instanceof Namespace) {
    const fields = Array.from(value.fields, ([name, each]) => `${quoted(name)}: ${inner(each)}`)
    return `<Namespace {${fields.join(', ')}}>`
  }
  if (value instanceof Callable) return `<${value.name}>`
  if (!isList(value)) throw new TemplateFault('a value has no text')
  if (value instanceof Tuple) return `(${value.map(inner).join(', ')}${value.length === 1 ? ',' : ''})`
  return `[${value.map(inner).join(', ')}]`
}

/** Python's way of writing a number: the fewest digits, with an exponent from 1e16 on and below 1e-4. */
export function numberText(given: number | Float): string {
  const isFloat = given instanceof Float
  const value = isFloat ? given.value : given
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  if (!isFloat && Number.isInteger(value)) return Object.is(value, -0) ? '0' : BigInt(value).toString()
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits = '', exponent = '0'] = value.toExponential().split('e')
    const power = Number(exponent)
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  }
  const text = Object.is(value, -0) ? '-0' : String(value)
  return text.includes('.') ? text : `${text}.0`
}

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' }

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  // what Python does not count as printable: control characters, separators but the space, what is not assigned
  const inner = text.replace(/[\\'"]|\p{C}|(?! )\p{Z}/gu, (letter) => {
    if (letter === "'" || letter === '"') return letter === quote ? `\\${letter}` : letter
    if (named[letter]) return named[letter]
    const code = letter.codePointAt(0) ?? 0
    const hex = code.toString(16)
    if (code < 0x100) return `\\x${hex.padStart(2, '0')}`
    return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
  })
  return quote + inner + quote
}
