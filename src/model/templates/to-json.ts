import { derived, isText, plain, type Text } from './marked-text.ts'
import { numberText } from './python-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import { Dict, Float, isList, TemplateFault, typeName, Undefined, type Value } from './template-value.ts'

export interface JsonLayout {
  /** text of one level; null writes all in one line */
  readonly indent: string | null
  readonly itemSeparator: string
  readonly keySeparator: string
  readonly sortKeys: boolean
  readonly ascii: boolean
}

/** Python's `json.dumps`, with the defaults that transformers gives it in templates: what is not ASCII stays as it is. */
export function toJson(budget: TemplateBudget, value: Value, layout: JsonLayout): Text {
  const texts: Text[] = []
  const string = (text: Text) => {
    texts.push(text)
    budget.text(plain(text).length)
    const json = JSON.stringify(plain(text))
    return layout.ascii ? json.replace(/[\u007f-\uffff]/g, escaped) : json
  }
  const write = (each: Value, level: number): string => {
    if (level > 100) throw new TemplateFault('tojson: a value is nested more than 100 levels deep')
    budget.spend(1)
    if (each === null) return 'null'
    if (typeof each === 'boolean') return String(each)
    if (typeof each === 'number' || each instanceof Float) return jsonNumber(each)
    if (isText(each)) return string(each)
    if (isList(each))
      return bracketed(
        '[',
        ']',
        each.map((item) => write(item, level + 1)),
        level,
      )
    if (each instanceof Undefined) throw each.fault()
    if (!(each instanceof Dict)) throw new TemplateFault(`Object of type ${typeName(each)} is not JSON serializable`)
    const entries = Array.from(each.entries.values(), ([key, item]) => [keyText(key), item] as const)
    if (layout.sortKeys) entries.sort(([a], [b]) => (plain(a) < plain(b) ? -1 : 1))
    const written = entries.map(([key, item]) => string(key) + layout.keySeparator + write(item, level + 1))
    return bracketed('{', '}', written, level)
  }
  const bracketed = (open: string, close: string, items: readonly string[], level: number): string => {
    if (items.length === 0) return open + close
    budget.text(items.length * (layout.itemSeparator.length + layout.keySeparator.length))
    if (layout.indent === null) return open + items.join(layout.itemSeparator) + close
    const line = `\n${layout.indent.repeat(level + 1)}`
    budget.text(items.length * line.length)
    return `${open}${line}${items.join(layout.itemSeparator + line)}\n${layout.indent.repeat(level)}${close}`
  }
  const text = write(value, 0)
  budget.text(text.length)
  return derived(text, ...texts)
}

const escaped = (letter: string) =>
  letter === '\u007f' ? letter : `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`

function jsonNumber(value: number | Float): string {
  const text = numberText(value)
  return { nan: 'NaN', inf: 'Infinity', '-inf': '-Infinity' }[text] ?? text
}

function keyText(key: Value): Text {
  if (isText(key)) return key
  if (key === null) return 'null'
  if (typeof key === 'boolean') return String(key)
  if (typeof key === 'number' || key instanceof Float) return jsonNumber(key)
  throw new TemplateFault(`keys must be str, int, float, bool or None, not ${typeName(key)}`)
}
