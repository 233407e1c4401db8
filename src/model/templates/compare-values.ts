import { isText, MarkedText, plain, type Text } from './marked-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import { Dict, Float, isList, TemplateFault, Tuple, typeName, Undefined, type Value } from './template-value.ts'

/** Python's `bool(value)`. */
export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return value !== 0
  if (value instanceof Float) return value.value !== 0
  if (isText(value)) return plain(value) !== ''
  if (isList(value)) return value.length > 0
  return value instanceof Dict ? value.size > 0 : true
}

/** A value as a number where Python counts with it. */
export function numeric(value: Value): number | null {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return Number(value)
  return value instanceof Float ? value.value : null
}

/** Python's `==`: values of different kinds are different. */
export function areEqual(budget: TemplateBudget, left: Value, right: Value): boolean {
  const [a, b] = [numeric(left), numeric(right)]
  if (a !== null || b !== null) return a === b
  if (isText(left)) return isText(right) && plain(left) === plain(right)
  if (left instanceof Undefined) return right instanceof Undefined
  if (isList(left)) {
    if (!isList(right) || left.length !== right.length || left instanceof Tuple !== right instanceof Tuple) return false
    budget.spend(left.length)
    return budget.nested(() => left.every((each, i) => areEqual(budget, each, right[i] ?? null)))
  }
  if (left instanceof Dict && right instanceof Dict) {
    if (left.size !== right.size) return false
    budget.spend(left.size)
    return budget.nested(() =>
      Array.from(left.entries.values()).every(([key, value]) => {
        const other = right.get(key)
        return other !== undefined && areEqual(budget, value, other)
      }),
    )
  }
  return left === right
}

/** Below 0 where the left comes first, 0 where they are equal. Throws for kinds that have no order. */
export function inOrder(budget: TemplateBudget, left: Value, right: Value): number {
  const [a, b] = [numeric(left), numeric(right)]
  if (a !== null && b !== null) return a - b
  if (isText(left) && isText(right)) return byCodePoints(plain(left), plain(right))
  if (isList(left) && isList(right) && left instanceof Tuple === right instanceof Tuple) {
    budget.spend(left.length)
    return budget.nested(() => {
      for (let i = 0; i < Math.min(left.length, right.length); i++)
        if (!areEqual(budget, left[i] ?? null, right[i] ?? null))
          return inOrder(budget, left[i] ?? null, right[i] ?? null)
      return left.length - right.length
    })
  }
  for (const value of [left, right]) if (value instanceof Undefined) throw value.fault()
  throw new TemplateFault(`'<' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`)
}

/** As UTF-16 orders them, but that characters beyond U+FFFF come last. */
function byCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let i = 0; i < length; i++) {
    const [a, b] = [left.charCodeAt(i), right.charCodeAt(i)]
    if (a === b) continue
    const [aPair, bPair] = [a >= 0xd800 && a < 0xe000, b >= 0xd800 && b < 0xe000]
    return aPair === bPair ? a - b : aPair ? 1 : -1
  }
  return left.length - right.length
}

/** Python's `part in whole`. */
export function contains(budget: TemplateBudget, whole: Value, part: Value): boolean {
  if (isText(whole)) {
    if (part instanceof Undefined) throw part.fault()
    if (!isText(part)) throw new TemplateFault(`'in <string>' requires string as left operand, not ${typeName(part)}`)
    budget.spend(plain(whole).length / 32)
    return plain(whole).includes(plain(part))
  }
  if (whole instanceof Dict) return whole.get(part) !== undefined
  if (whole instanceof Undefined) return false
  if (!isList(whole)) throw new TemplateFault(`argument of type '${typeName(whole)}' is not iterable`)
  budget.spend(whole.length)
  return whole.some((each) => areEqual(budget, each, part))
}

/** What a loop goes through: the values of a list, the keys of a dict, the characters of a text. */
export function listOf(budget: TemplateBudget, value: Value): readonly Value[] {
  if (isList(value)) {
    budget.spend(value.length)
    return value
  }
  if (value instanceof Undefined) return []
  if (value instanceof Dict) {
    budget.spend(value.size)
    return value.keys()
  }
  if (isText(value)) return characters(budget, value)
  throw new TemplateFault(`'${typeName(value)}' object is not iterable`)
}

function characters(budget: TemplateBudget, value: Text): Value[] {
  const all: Value[] = []
  budget.spend(plain(value).length)
  if (typeof value === 'string') return Array.from(value)
  let at = 0
  let mark = 0
  for (const character of value.text) {
    while ((value.marks[mark + 1] ?? Number.POSITIVE_INFINITY) <= at) mark += 2
    const isGiven = at >= (value.marks[mark] ?? Number.POSITIVE_INFINITY)
    all.push(isGiven ? givenCharacter(character) : character)
    at += character.length
  }
  return all
}

const givenCharacter = (character: string): Value => new MarkedText(character, [0, character.length])
