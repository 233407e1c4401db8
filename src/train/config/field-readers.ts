import { isRecord, shown } from '../../model/architectures/config-fields.ts'
import { meant } from '../../tile/index.ts'

/**
 * Reads a value of a configuration. What is wrong is added to `faults` with its path, and reading goes on, so that all faults
 * are told at once; what is returned then is of no use.
 */
export type Reader<T> = (value: unknown, path: string, faults: string[]) => T

type Shape = Readonly<Record<string, Reader<unknown>>>
export type Read<S extends Shape> = { readonly [Name in keyof S]: ReturnType<S[Name]> }

/** An object with these fields and no others; an absent one is read as undefined. */
export function object<S extends Shape>(shape: S): Reader<Read<S>> {
  const names = Object.keys(shape)
  return (value, path, faults) => {
    if (!isRecord(value)) return wrong(faults, path, 'an object', value)
    for (const name of Object.keys(value))
      if (!Object.hasOwn(shape, name)) faults.push(`${inside(path, name)}: no such field${meant(name, names)}`)
    const read = (name: string) =>
      shape[name]?.(Object.hasOwn(value, name) ? value[name] : undefined, inside(path, name), faults)
    return Object.fromEntries(names.map((name) => [name, read(name)])) as Read<S>
  }
}

/** An object whose field `tag` says which fields it has. */
export function variant<T>(tag: string, kinds: Readonly<Record<string, Reader<T>>>): Reader<T> {
  const names = Object.keys(kinds)
  return (value, path, faults) => {
    if (!isRecord(value)) return wrong(faults, path, 'an object', value)
    const kind = value[tag]
    const reader = typeof kind === 'string' && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
    if (reader) return reader(value, path, faults)
    if (typeof kind !== 'string') return wrong(faults, inside(path, tag), `one of ${names.join(', ')}`, kind)
    faults.push(`${inside(path, tag)}: no ${tag} ${shown(kind)}${meant(kind, names)}`)
    return undefined as T
  }
}

/** Absent, or null. */
export function optional<T>(reader: Reader<T>): Reader<T | undefined>
export function optional<T, const F>(reader: Reader<T>, fallback: F): Reader<T | F>
export function optional<T>(reader: Reader<T>, fallback?: unknown): Reader<unknown> {
  return (value, path, faults) => (value === undefined || value === null ? fallback : reader(value, path, faults))
}

export function either<A, B>(
  wanted: string,
  isFirst: (value: unknown) => boolean,
  first: Reader<A>,
  second: Reader<B>,
  isSecond: (value: unknown) => boolean,
): Reader<A | B> {
  return (value, path, faults) => {
    if (isFirst(value)) return first(value, path, faults)
    if (isSecond(value)) return second(value, path, faults)
    return wrong(faults, path, wanted, value)
  }
}

/** Any object: what is in it is read elsewhere. */
export const record: Reader<never> = (value, path, faults) =>
  isRecord(value) ? (value as never) : wrong(faults, path, 'an object', value)

export const text: Reader<string> = (value, path, faults) =>
  typeof value === 'string' && value !== '' ? value : wrong(faults, path, 'a text', value)

export const flag: Reader<boolean> = (value, path, faults) =>
  typeof value === 'boolean' ? value : wrong(faults, path, 'true or false', value)

export function word<Word extends string>(...words: readonly Word[]): Reader<Word> {
  return (value, path, faults) => {
    const found = words.find((known) => known === value)
    if (found !== undefined) return found
    if (typeof value !== 'string') return wrong(faults, path, `one of ${words.join(', ')}`, value)
    faults.push(`${path}: no ${shown(value)}${meant(value, words)}`)
    return undefined as never
  }
}

export function whole(least: number, most = Number.MAX_SAFE_INTEGER): Reader<number> {
  const wanted = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  return (value, path, faults) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most
      ? value
      : wrong(faults, path, `a whole number ${wanted}`, value)
}

/** a finite number in a range that is told in words, "above 0" */
export function number(range: string, accepts: (value: number) => boolean): Reader<number> {
  return (value, path, faults) =>
    typeof value === 'number' && Number.isFinite(value) && accepts(value)
      ? value
      : wrong(faults, path, `a number ${range}`, value)
}

export const positive = number('above 0', (value) => value > 0)
export const notNegative = number('of at least 0', (value) => value >= 0)
export const fraction = number('from 0 to 1', (value) => value >= 0 && value <= 1)
export const belowOne = number('of at least 0 and below 1', (value) => value >= 0 && value < 1)

export function list<T>(reader: Reader<T>): Reader<readonly T[]> {
  return (value, path, faults) =>
    Array.isArray(value)
      ? value.map((item, index) => reader(item, `${path}[${index}]`, faults))
      : wrong(faults, path, 'a list', value)
}

/** One, or a list of at least one. */
export function oneOrMore<T>(reader: Reader<T>): Reader<readonly T[]> {
  const many = list(reader)
  return (value, path, faults) => {
    if (!Array.isArray(value)) return [reader(value, path, faults)]
    return value.length > 0 ? many(value, path, faults) : wrong(faults, path, 'at least one', value)
  }
}

export function pair<T>(reader: Reader<T>): Reader<readonly [T, T]> {
  return (value, path, faults) => {
    if (!Array.isArray(value) || value.length !== 2) return wrong(faults, path, 'a list of two', value)
    return [reader(value[0], `${path}[0]`, faults), reader(value[1], `${path}[1]`, faults)]
  }
}

/** Adds what was wanted and what was found. */
export function wrong(faults: string[], path: string, wanted: string, value: unknown): never {
  faults.push(
    value === undefined ? `${path}: missing, it must be ${wanted}` : `${path}: must be ${wanted}, got ${shown(value)}`,
  )
  return undefined as never
}

function inside(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
