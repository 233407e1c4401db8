import { MarkedText, plain, type Text } from './marked-text.ts'

/** What a template computes with: Python's values, as Jinja has them. An integral number is an int, others are floats. */
export type Value = null | boolean | number | Text | Float | Undefined | readonly Value[] | Dict | Namespace | Callable

/** What a template does wrong, or says with raise_exception. */
export class TemplateFault extends Error {}

/** A float of integral value: 4 / 2 is 2.0, and written as such. */
export class Float {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

export const floating = (value: number): number | Float => (Number.isInteger(value) ? new Float(value) : value)

/** A name or field that is not there: false, empty and without text, but whatever else is done with it is a fault. */
export class Undefined {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }

  fault(): TemplateFault {
    return new TemplateFault(this.reason)
  }
}

/** A list that is written with round brackets. What is made of its items is a list. */
export class Tuple extends Array<Value> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }
}

export function tuple(values: readonly Value[]): Tuple {
  const made = new Tuple()
  for (const value of values) made.push(value)
  return made
}

/** A dict, in order of insertion; a text is the same key whoever wrote it. */
export class Dict {
  readonly entries = new Map<unknown, readonly [Value, Value]>()

  get(key: Value): Value | undefined {
    return this.entries.get(keyOf(key))?.[1]
  }

  set(key: Value, value: Value): this {
    const own = keyOf(key)
    this.entries.set(own, [this.entries.get(own)?.[0] ?? key, value])
    return this
  }

  get size(): number {
    return this.entries.size
  }

  keys(): Value[] {
    return Array.from(this.entries.values(), ([key]) => key)
  }

  values(): Value[] {
    return Array.from(this.entries.values(), ([, value]) => value)
  }

  items(): Value[] {
    return Array.from(this.entries.values(), ([key, value]) => tuple([key, value]))
  }
}

/** Python's True is 1 and 1.0 is 1. */
function keyOf(key: Value): unknown {
  if (key instanceof MarkedText) return key.text
  if (key instanceof Float) return key.value
  if (typeof key === 'boolean') return Number(key)
  if (key instanceof Tuple) return `tuple ${JSON.stringify(key.map((part) => [typeof part, keyOf(part)]))}`
  if (typeof key === 'object' && key !== null) throw new TemplateFault(`unhashable type: '${typeName(key)}'`)
  return key
}

/** The one object whose fields a template may set. */
export class Namespace {
  readonly fields = new Map<string, Value>()
}

/** Arguments as they are called: in order, and by name. */
export interface Arguments {
  readonly positional: readonly Value[]
  readonly named: ReadonlyMap<string, Value>
}

/** A function, a method, a macro or a loop that calls itself; `fields` are what else it has. */
export class Callable {
  readonly name: string
  readonly call: (given: Arguments) => Value
  readonly fields: (name: string) => Value | undefined

  constructor(
    name: string,
    call: (given: Arguments) => Value,
    fields: (name: string) => Value | undefined = () => undefined,
  ) {
    this.name = name
    this.call = call
    this.fields = fields
  }
}

/** Python's name for a value's type, in its messages. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float'
  if (typeof value === 'string' || value instanceof MarkedText) return 'str'
  if (value instanceof Float) return 'float'
  if (value instanceof Undefined) return 'Undefined'
  if (value instanceof Tuple) return 'tuple'
  if (value instanceof Dict) return 'dict'
  if (value instanceof Namespace) return 'Namespace'
  return value instanceof Callable ? 'function' : 'list'
}

export const isList = (value: Value): value is readonly Value[] => Array.isArray(value)

/** A whole number, as Python would take it; `what` is named otherwise. */
export function wholeNumber(value: Value, what: string): number {
  if (typeof value === 'boolean') return Number(value)
  if (typeof value === 'number' && Number.isInteger(value)) return value
  if (value instanceof Undefined) throw value.fault()
  throw new TemplateFault(`${what} must be a whole number, got ${typeName(value)}`)
}

/** A text; `what` is named where it is none. */
export function textOf(value: Value, what: string): Text {
  if (typeof value === 'string' || value instanceof MarkedText) return value
  if (value instanceof Undefined) throw value.fault()
  throw new TemplateFault(`${what} must be a string, got ${typeName(value)}`)
}

export const plainOf = (value: Value, what: string): string => plain(textOf(value, what))
