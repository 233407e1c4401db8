import { FoveaError } from '../../tile/index.ts'
import { shown } from '../files/shown.ts'
import type { RopeBase, RopeFrequencies } from '../rope/rope-scaling.ts'

export { shown }

/**
 * The fields of a configuration, read with their types. What is missing (absent or null) takes the fallback, or throws
 * when there is none; everything thrown is `format`, naming file, field and what was found there.
 */
export interface ConfigFields {
  readonly file: string
  /** rotary positions of a format that scales them in its own way (GGUF) instead of by fields */
  readonly rope?: RopeOfFile
  /** is it there and not null? */
  has(name: string): boolean
  readonly isEmpty: boolean
  /** is it the number 0? */
  isZero(name: string): boolean
  /** is it there, be it null? */
  states(name: string): boolean
  /** a whole number, at least 1 */
  size(name: string, fallback?: number): number
  /** a whole number from 0, null when missing or -1, by which older programs mean none */
  token(name: string): number | null
  /** a finite number, above zero */
  positive(name: string, fallback?: number): number
  flag(name: string, fallback: boolean): boolean
  text(name: string, fallback?: string): string
  list(name: string): readonly unknown[] | null
  /** numbers above zero, `length` of them */
  numbers(name: string, length: number): readonly number[]
  /** a nested object, null when missing; the same one at every call */
  section(name: string): ConfigFields | null
  /** the names that a reader asked for, whether they are there or not */
  asked(): readonly string[]
  /** what nobody has asked for yet, in nested objects too, with the path that the file has for it */
  unread(): readonly UnreadField[]
  fault(name: string, message: string): FoveaError
}

/** Rotary positions as a file defines them. */
export interface RopeOfFile {
  /** `layerType`: that of a sliding window may differ from the others */
  frequencies(base: RopeBase, layerType: string, contextLength: number): RopeFrequencies
  /** the positions that the model can be run with, where so many are stated */
  reach(stated: number): number
}

/** A field of a configuration that no reader asked for. */
export interface UnreadField {
  /** of the field alone: "factor" */
  readonly name: string
  /** with the objects that it lies in: "rope_scaling.factor"; of a GGUF file its key */
  readonly path: string
  readonly value: unknown
}

/** `label` gives the name that the file has for a field (the GGUF reader renames), `path` goes before it. */
export function configFields(
  file: string,
  values: Readonly<Record<string, unknown>>,
  label: (name: string) => string = (name) => name,
): ConfigFields {
  const fault = (name: string, message: string) =>
    new FoveaError('format', 'openCheckpoint', `${file}: ${label(name)} ${message}`)
  const asked = new Set<string>()
  const sections = new Map<string, ConfigFields>()
  const isThere = (name: string) => {
    asked.add(name)
    return Object.hasOwn(values, name)
  }
  const found = (name: string) => (isThere(name) ? (values[name] ?? undefined) : undefined)

  function read<T>(name: string, fallback: T | undefined, wanted: string, is: (value: unknown) => value is T): T {
    const value = found(name)
    if (value === undefined) {
      if (fallback !== undefined) return fallback
      throw fault(name, `is missing, it must be ${wanted}`)
    }
    if (!is(value)) throw fault(name, `must be ${wanted}, got ${shown(value)}`)
    return value
  }

  return {
    file,
    has: (name) => found(name) !== undefined,
    isEmpty: Object.keys(values).length === 0,
    isZero: (name) => found(name) === 0,
    states: isThere,
    size: (name, fallback) => read(name, fallback, 'a whole number from 1', isSize),
    token: (name) =>
      [undefined, -1].includes(found(name) as number) ? null : read(name, undefined, 'a token id', isToken),
    positive: (name, fallback) => read(name, fallback, 'a number above 0', isPositive),
    flag: (name, fallback) => read(name, fallback, 'true or false', (value) => typeof value === 'boolean'),
    text: (name, fallback) => read(name, fallback, 'a string', (value) => typeof value === 'string'),
    list: (name) => (found(name) === undefined ? null : read(name, undefined, 'a list', isList)),
    numbers(name, length) {
      const list = read(name, undefined, `a list of ${length} numbers`, isList)
      if (list.length !== length) throw fault(name, `must have ${length} numbers, got ${list.length}`)
      const wrong = list.findIndex((value) => !isPositive(value))
      if (wrong >= 0) throw fault(`${name}[${wrong}]`, `must be a number above 0, got ${shown(list[wrong])}`)
      return list as number[]
    },
    section(name) {
      if (found(name) === undefined) return null
      const known = sections.get(name)
      if (known) return known
      const nested = read(name, undefined, 'an object', isRecord)
      const fields = configFields(file, nested, (inner) => label(`${name}.${inner}`))
      sections.set(name, fields)
      return fields
    },
    asked: () => [...asked],
    unread: () =>
      Object.entries(values).flatMap(([name, value]) => {
        const section = sections.get(name)
        if (section) return section.unread()
        return asked.has(name) ? [] : [{ name, path: label(name), value }]
      }),
    fault,
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value)
const isPositive = (value: unknown): value is number => typeof value === 'number' && value > 0 && Number.isFinite(value)
const isSize = (value: unknown): value is number => isPositive(value) && Number.isSafeInteger(value)
const isToken = (value: unknown): value is number => value === 0 || isSize(value)
