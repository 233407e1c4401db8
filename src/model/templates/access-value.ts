import { bindArguments } from './bind-arguments.ts'
import { lengthOf, offsetsOf, sliceIndexes } from './code-points.ts'
import { areEqual, numeric } from './compare-values.ts'
import { isText, joined, plain, sliced } from './marked-text.ts'
import { representation } from './python-text.ts'
import { stringMethod } from './string-methods.ts'
import type { TemplateBudget } from './template-budget.ts'
import {
  type Arguments,
  Callable,
  Dict,
  isList,
  Namespace,
  TemplateFault,
  Tuple,
  tuple,
  typeName,
  Undefined,
  type Value,
  wholeNumber,
} from './template-value.ts'

/** `object.name`: a method or field, else the entry of this name, else undefined. */
export function attributeOf(budget: TemplateBudget, object: Value, name: string): Value {
  const member = memberOf(budget, object, name)
  if (member !== undefined) return member
  const entry = entryOf(object, name)
  return entry === undefined ? missing(budget, object, name) : entry
}

/** `object[index]`: the entry, else a method or field of this name, else undefined. */
export function itemOf(budget: TemplateBudget, object: Value, index: Value): Value {
  const entry = entryOf(object, index)
  if (entry !== undefined) return entry
  const member = isText(index) ? memberOf(budget, object, plain(index)) : undefined
  return member === undefined ? missing(budget, object, index) : member
}

/** `object[start:stop:step]` of a list or a text. */
export function sliceOf(budget: TemplateBudget, object: Value, bounds: readonly Value[]): Value {
  const [start = null, stop = null, step = null] = bounds
  const bound = (value: Value) => (value === null ? null : wholeNumber(value, 'a bound of a slice'))
  const by = bound(step) ?? 1
  if (by === 0) throw new TemplateFault('slice step cannot be zero')
  if (object instanceof Undefined) throw object.fault()
  const offsets = isText(object) ? offsetsOf(object) : null
  if (!isText(object) && !isList(object)) throw new TemplateFault(`'${typeName(object)}' object has no slices`)
  const length = isText(object) ? (offsets ? offsets.length - 1 : plain(object).length) : object.length
  const { first, count } = sliceIndexes(length, bound(start), bound(stop), by)
  if (isText(object)) {
    budget.text(count)
    const at = (index: number) => offsets?.[index] ?? index
    if (by === 1) return sliced(object, at(first), at(first + count))
    const letters = Array.from({ length: count }, (_, i) => sliced(object, at(first + i * by), at(first + i * by + 1)))
    budget.spend(count)
    return joined(letters)
  }
  budget.spend(count)
  const items = Array.from({ length: count }, (_, i) => object[first + i * by] ?? null)
  return object instanceof Tuple ? tuple(items) : items
}

function missing(budget: TemplateBudget, object: Value, name: Value): Undefined {
  if (object instanceof Undefined) throw object.fault()
  const shown = plain(representation(budget, name)).slice(0, 60)
  return new Undefined(`'${typeName(object)} object' has no attribute ${shown}`)
}

function entryOf(object: Value, index: Value): Value | undefined {
  if (object instanceof Dict) return isHashable(index) ? object.get(index) : undefined
  const number = isText(index) ? null : numeric(index)
  if (number === null || !Number.isInteger(number)) return undefined
  if (isList(object)) return object.at(number)
  if (!isText(object)) return undefined
  const offsets = offsetsOf(object)
  const length = offsets ? offsets.length - 1 : plain(object).length
  const at = number < 0 ? number + length : number
  return at < 0 || at >= length ? undefined : sliced(object, offsets?.[at] ?? at, offsets?.[at + 1] ?? at + 1)
}

const isHashable = (value: Value) => !(isList(value) && !(value instanceof Tuple)) && !(value instanceof Dict)

function memberOf(budget: TemplateBudget, object: Value, name: string): Value | undefined {
  if (object instanceof Namespace) return object.fields.get(name)
  if (object instanceof Callable) return object.fields(name)
  const call = isText(object) ? stringMethod(budget, object, name) : collectionMethod(budget, object, name)
  return call && new Callable(`method ${name}`, call)
}

const changing = [
  'append',
  'clear',
  'extend',
  'insert',
  'pop',
  'popitem',
  'remove',
  'reverse',
  'setdefault',
  'sort',
  'update',
]

/** Methods of dicts and lists; those that would change them are refused, as transformers does. */
function collectionMethod(
  budget: TemplateBudget,
  object: Value,
  name: string,
): ((given: Arguments) => Value) | undefined {
  if (!isList(object) && !(object instanceof Dict)) return undefined
  if (changing.includes(name) && !(object instanceof Dict && object.get(name) !== undefined))
    return () => {
      throw new TemplateFault(`access to attribute '${name}' of '${typeName(object)}' object is unsafe`)
    }
  const list = (values: () => Value[]) => (given: Arguments) => {
    bindArguments(name, given, [])
    budget.spend(object instanceof Dict ? object.size : object.length)
    return values()
  }
  if (object instanceof Dict) {
    if (name === 'get')
      return (given) => {
        const [key = null, fallback = null] = bindArguments(name, given, ['key', 'default'])
        const value = object.get(key)
        return value === undefined ? fallback : value
      }
    if (name === 'items') return list(() => object.items())
    if (name === 'keys') return list(() => object.keys())
    if (name === 'values') return list(() => object.values())
    if (name === 'copy')
      return (given) => {
        bindArguments(name, given, [])
        budget.spend(object.size)
        const copy = new Dict()
        for (const [key, value] of object.entries.values()) copy.set(key, value)
        return copy
      }
    return undefined
  }
  if (name === 'copy') return list(() => [...object])
  if (name === 'count' || name === 'index')
    return (given) => {
      const [wanted = null] = bindArguments(name, given, ['value'])
      budget.spend(object.length)
      const found = object.flatMap((each, i) => (areEqual(budget, each, wanted) ? [i] : []))
      if (name === 'count') return found.length
      if (found[0] === undefined) throw new TemplateFault('the value is not in the list')
      return found[0]
    }
  return undefined
}

/** Python's `len`. */
export function sizeOf(value: Value): number {
  if (isText(value)) return lengthOf(value)
  if (isList(value)) return value.length
  if (value instanceof Dict) return value.size
  if (value instanceof Undefined) return 0
  throw new TemplateFault(`object of type '${typeName(value)}' has no len()`)
}
