import { attributeOf, itemOf, sizeOf } from './access-value.ts'
import { arithmetic } from './arithmetic.ts'
import { areEqual, inOrder, isTrue, listOf, numeric } from './compare-values.ts'
import { derived, isText, joined, plain, type Text } from './marked-text.ts'
import { pythonText, representation } from './python-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import type { FilterContext, TemplateFilter } from './template-filter.ts'
import { testValue } from './template-tests.ts'
import {
  Dict,
  Float,
  floating,
  isList,
  TemplateFault,
  textOf,
  tuple,
  Undefined,
  type Value,
  wholeNumber,
} from './template-value.ts'

/** Filters of jinja2 that make values other than texts. */
const filter = (parameters: readonly string[], run: TemplateFilter['run']): TemplateFilter => ({ parameters, run })

const fallback = filter(['default_value', 'boolean'], (_, value, [other = '', always = false]) =>
  value instanceof Undefined || (isTrue(always) && !isTrue(value)) ? other : value,
)
const size = filter([], (_, value) => sizeOf(value))

export const listFilters: Readonly<Record<string, TemplateFilter>> = {
  default: fallback,
  d: fallback,
  length: size,
  count: size,
  first: filter([], ({ budget }, value) => orMissing(listOf(budget, value)[0], 'no first item')),
  last: filter([], ({ budget }, value) => orMissing(listOf(budget, value).at(-1), 'no last item')),
  list: filter([], ({ budget }, value) => [...listOf(budget, value)]),
  reverse: filter([], ({ budget }, value) => {
    const items = listOf(budget, value).toReversed()
    return isText(value) ? joined(items.map((item) => textOf(item, 'reverse'))) : items
  }),
  join: filter(['d', 'attribute'], ({ budget }, value, [between = '', attribute = null]) => {
    const items = listOf(budget, value).map((item) => pythonText(budget, fieldOf(budget, item, attribute)))
    const separator = pythonText(budget, between)
    budget.text(items.reduce((sum, item) => sum + plain(item).length + plain(separator).length, 0))
    return joined(items.flatMap((item, i) => (i === 0 ? [item] : [separator, item])))
  }),
  items: filter([], ({ budget }, value) => {
    if (value instanceof Undefined) return []
    if (!(value instanceof Dict)) throw new TemplateFault('Can only get item pairs from a mapping.')
    budget.spend(value.size)
    return value.items()
  }),
  dictsort: filter(['case_sensitive', 'by', 'reverse'], ({ budget }, value, [exact = false, by = 'key', reverse]) => {
    if (!(value instanceof Dict)) throw new TemplateFault('dictsort needs a mapping')
    const at = plain(textOf(by, 'by')) === 'value' ? 1 : 0
    return sorted(budget, value.items(), (pair) => folded((isList(pair) ? pair[at] : null) ?? null, exact), reverse)
  }),
  sort: filter(['reverse', 'case_sensitive', 'attribute'], ({ budget }, value, [reverse, exact = false, attribute]) =>
    sorted(budget, listOf(budget, value), (item) => sortKey(budget, item, attribute, exact), reverse),
  ),
  unique: filter(['case_sensitive', 'attribute'], ({ budget }, value, [exact = false, attribute = null]) => {
    const seen = new Dict()
    return listOf(budget, value).filter((item) => {
      const key = folded(fieldOf(budget, item, attribute), exact)
      const isNew = seen.get(key) === undefined
      seen.set(key, true)
      return isNew
    })
  }),
  groupby: filter(['attribute', 'default', 'case_sensitive'], ({ budget }, value, [attribute = null, other, exact]) => {
    const key = (item: Value) => orElse(fieldOf(budget, item, attribute), other)
    const items = sorted(budget, listOf(budget, value), (item) => folded(key(item), exact ?? false), undefined)
    const groups: { own: Value; items: Value[] }[] = []
    for (const item of items) {
      const own = key(item)
      const last = groups.at(-1)
      if (last && areEqual(budget, folded(last.own, exact ?? false), folded(own, exact ?? false))) last.items.push(item)
      else groups.push({ own, items: [item] })
    }
    return groups.map((group) => tuple([group.own, group.items]))
  }),
  map: {
    parameters: null,
    run(context, value, [name = null, ...rest], named) {
      const { budget } = context
      const attribute = named.get('attribute')
      const items = listOf(budget, value)
      if (attribute !== undefined) {
        const other = named.get('default')
        return items.map((item) => orElse(fieldOf(budget, item, attribute), other))
      }
      const given = { positional: rest.map((each) => each ?? null), named }
      return items.map((item) => context.filter(plain(textOf(name, 'map')), item, given))
    },
  },
  select: picked(false, true),
  reject: picked(false, false),
  selectattr: picked(true, true),
  rejectattr: picked(true, false),
  batch: filter(['linecount', 'fill_with'], ({ budget }, value, [count = null, fill = null]) => {
    const size = positive(count)
    const rows: Value[][] = []
    for (const [i, item] of listOf(budget, value).entries()) {
      if (i % size === 0) rows.push([])
      rows.at(-1)?.push(item)
    }
    const last = rows.at(-1)
    if (fill !== null && last) {
      budget.spend(size)
      while (last.length < size) last.push(fill)
    }
    return rows
  }),
  slice: filter(['slices', 'fill_with'], ({ budget }, value, [slices = null, fill = null]) => {
    const items = listOf(budget, value)
    const count = positive(slices)
    budget.spend(count)
    const [least, more] = [Math.floor(items.length / count), items.length % count]
    return Array.from({ length: count }, (_, i) => {
      const start = i * least + Math.min(i, more)
      const own = items.slice(start, start + least + (i < more ? 1 : 0))
      return fill !== null && i >= more ? [...own, fill] : own
    })
  }),
  sum: filter(['attribute', 'start'], ({ budget }, value, [attribute = null, start = 0]) =>
    listOf(budget, value).reduce((sum, item) => arithmetic(budget, '+', sum, fieldOf(budget, item, attribute)), start),
  ),
  min: extreme(-1),
  max: extreme(1),
  int: filter(['default', 'base'], (_, value, [other = 0, base = 10]) => {
    const number = numeric(value)
    if (number !== null) return Number.isFinite(number) ? Math.trunc(number) : other
    if (value instanceof Undefined) throw value.fault()
    if (!isText(value)) return other
    const text = plain(value).trim().replaceAll('_', '')
    const radix = wholeNumber(base, 'base')
    const prefixed = /^[-+]?0[xob]/i.test(text)
    if (radix === 10 && !prefixed) return /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text) ? safe(text) : other
    const digits = text.replace(/^([-+]?)0[xob]/i, '$1')
    const parsed = Number.parseInt(digits, radix)
    return Number.isNaN(parsed) || parsed.toString(radix) !== digits.toLowerCase().replace(/^\+/, '') ? other : parsed
  }),
  float: filter(['default'], (_, value, [other = new Float(0)]) => {
    const number = numeric(value)
    if (number !== null) return floating(number)
    if (value instanceof Undefined) throw value.fault()
    const text = isText(value) ? plain(value).trim().replaceAll('_', '') : ''
    return /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text) ? floating(Number(text)) : other
  }),
  abs: filter([], (_, value) => {
    const number = numeric(value)
    if (number === null) throw new TemplateFault('abs needs a number')
    return value instanceof Float ? floating(Math.abs(number)) : Math.abs(number)
  }),
  round: filter(['precision', 'method'], (_, value, [precision = 0, method = 'common']) => {
    const number = numeric(value)
    if (number === null) throw new TemplateFault('round needs a number')
    const scale = 10 ** wholeNumber(precision, 'precision')
    const way = plain(textOf(method, 'method'))
    const whole = way === 'ceil' ? Math.ceil : way === 'floor' ? Math.floor : halfToEven
    return floating(whole(number * scale) / scale)
  }),
  attr: filter(['name'], ({ budget }, value, [name = null]) => attributeOf(budget, value, plain(textOf(name, 'name')))),
  pprint: filter([], ({ budget }, value) => representation(budget, value)),
}

const safe = (text: string): number => {
  const number = Math.trunc(Number(text))
  if (!Number.isSafeInteger(number)) throw new TemplateFault('a whole number is beyond 2⁵³')
  return number
}

const orMissing = (value: Value | undefined, reason: string): Value =>
  value === undefined ? new Undefined(reason) : value

const orElse = (value: Value, other: Value | undefined): Value =>
  value instanceof Undefined && other !== undefined ? other : value

function positive(value: Value): number {
  const count = wholeNumber(value, 'a count')
  if (count < 1) throw new TemplateFault(`a count must be above 0, got ${count}`)
  return count
}

function halfToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

/** `a.b.0`: fields and indexes, one after another. */
function fieldOf(budget: TemplateBudget, item: Value, path: Value): Value {
  if (path === null) return item
  if (!isText(path)) return itemOf(budget, item, path)
  let value = item
  for (const part of plain(path).split('.')) {
    budget.spend(1)
    value = itemOf(budget, value, /^\d+$/.test(part) ? Number(part) : part)
  }
  return value
}

function folded(value: Value, exact: Value): Value {
  return isText(value) && !isTrue(exact) ? derived(plain(value).toLowerCase(), value) : value
}

/** One or several attributes with commas between. */
function sortKey(budget: TemplateBudget, item: Value, attribute: Value | undefined, exact: Value): Value {
  if (attribute === undefined || attribute === null) return folded(item, exact)
  const paths: readonly (Text | Value)[] = isText(attribute) ? plain(attribute).split(',') : [attribute]
  return paths.map((path) => folded(fieldOf(budget, item, path), exact))
}

function sorted(
  budget: TemplateBudget,
  items: readonly Value[],
  key: (item: Value) => Value,
  reverse: Value | undefined,
): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }))
  const sign = reverse !== undefined && isTrue(reverse) ? -1 : 1
  keyed.sort((a, b) => {
    budget.spend(1)
    return sign * inOrder(budget, a.key, b.key)
  })
  return keyed.map(({ item }) => item)
}

/** The items for which a test holds; without a test those that are true. */
function picked(byAttribute: boolean, keeps: boolean): TemplateFilter {
  return {
    parameters: null,
    run({ budget }, value, given) {
      const [attribute, rest] = byAttribute ? [given[0] ?? null, given.slice(1)] : [null, given]
      const [name, ...others] = rest.map((each) => each ?? null)
      return listOf(budget, value).filter((item) => {
        const own = fieldOf(budget, item, attribute)
        budget.spend(1)
        const holds = name === undefined ? isTrue(own) : testValue(budget, plain(textOf(name, 'a test')), own, others)
        return holds === keeps
      })
    },
  }
}

function extreme(sign: number): TemplateFilter {
  return filter(
    ['case_sensitive', 'attribute'],
    ({ budget }: FilterContext, value, [exact = false, attribute = null]) => {
      const items = listOf(budget, value)
      const key = (item: Value) => folded(fieldOf(budget, item, attribute), exact)
      let best: Value | undefined
      for (const item of items) if (best === undefined || sign * inOrder(budget, key(item), key(best)) > 0) best = item
      return orMissing(best, 'no item')
    },
  )
}
