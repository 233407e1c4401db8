import { invalidField } from './api-error.ts'

/** Reads a value of a request, or throws a 400 that names its path. */
export type Reader<T> = (value: unknown, path: string) => T

type Shape = Readonly<Record<string, Reader<unknown>>>
export type Read<S extends Shape> = { readonly [Name in keyof S]: ReturnType<S[Name]> }

/** An object with these fields and no others; a field that is absent is read as undefined. */
export function object<S extends Shape>(shape: S): Reader<Read<S>> {
  const names = Object.keys(shape)
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(path, 'an object', value)
    const inside = (name: string) => (path === '' ? name : `${path}.${name}`)
    for (const name of Object.keys(value))
      if (!Object.hasOwn(shape, name))
        throw invalidField(
          inside(shorten(name)),
          `${inside(shorten(name))}: there is no such field`,
          'unknown_parameter',
        )
    const read = (name: string) => {
      const field = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
      return shape[name]?.(field, inside(name))
    }
    return Object.fromEntries(names.map((name) => [name, read(name)])) as Read<S>
  }
}

/** null counts as absent, as it does for OpenAI */
export function optional<T, const F>(reader: Reader<T>, fallback: F): Reader<T | F> {
  return (value, path) => (value === undefined || value === null ? fallback : reader(value, path))
}

export function text(least = 0): Reader<string> {
  return (value, path) => {
    if (typeof value !== 'string') throw wrongType(path, 'a string', value)
    if (value.length < least) throw invalidField(path, `${path} must not be empty`)
    return value
  }
}

export const flag: Reader<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw wrongType(path, 'true or false', value)
  return value
}

export function number(least: number, most: number): Reader<number> {
  return (value, path) => {
    if (typeof value !== 'number') throw wrongType(path, 'a number', value)
    // JSON has no NaN, but 1e999 is read as Infinity
    if (!(value >= least && value <= most)) throw outOfRange(path, value, least, most)
    return value
  }
}

export function integer(least: number, most: number): Reader<number> {
  const read = number(least, most)
  return (value, path) => {
    if (typeof value === 'number' && !Number.isInteger(value))
      throw invalidField(path, `${path} must be a whole number, got ${value}`, 'invalid_type')
    return read(value, path)
  }
}

export function oneOf<const Word extends string>(...words: readonly Word[]): Reader<Word> {
  return (value, path) => {
    const known = words.find((word) => word === value)
    if (known === undefined)
      throw invalidField(path, `${path} must be one of ${words.join(', ')}, got ${describe(value)}`)
    return known
  }
}

export function listOf<T>(reader: Reader<T>, least: number, most: number): Reader<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrongType(path, 'a list', value)
    if (value.length < least || value.length > most)
      throw invalidField(path, `${path} must have ${least} to ${most} entries, got ${value.length}`)
    return value.map((entry, i) => reader(entry, `${path}[${i}]`))
  }
}

/** A field that means nothing here and changes no answer. */
export const ignored: Reader<undefined> = () => undefined

/** A field of the API that is not offered: absent, or what says that it is not used, or else a 400. */
export function refused(isUnused: (value: unknown) => boolean = () => false): Reader<undefined> {
  return (value, path) => {
    if (value === undefined || value === null || isUnused(value)) return undefined
    throw invalidField(path, `${path} is not supported by this server`, 'unsupported_parameter')
  }
}

export function wrongType(path: string, wanted: string, value: unknown): Error {
  if (value === undefined) return invalidField(path, `${path} is missing`, 'missing_required_parameter')
  return invalidField(path, `${path || 'the body'} must be ${wanted}, got ${describe(value)}`, 'invalid_type')
}

function outOfRange(path: string, value: number, least: number, most: number): Error {
  const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`
  return invalidField(path, `${path} must be ${range}, got ${value}`)
}

/** Never the value whole: it may be large, or nested too deeply to print. */
function describe(value: unknown): string {
  if (typeof value === 'string') return `'${shorten(value)}'`
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

function shorten(word: string): string {
  return word.length > 40 ? `${word.slice(0, 40)}…` : word
}
