import { FoveaError, meant } from '../tile/index.ts'

/** What a field of a configuration may hold: says so in words, and tells. */
export interface FieldKind {
  readonly says: string
  accepts(value: unknown): boolean
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

export const fieldKinds = {
  positive: { says: 'a number > 0', accepts: (v: unknown) => isNumber(v) && v > 0 },
  notNegative: { says: 'a number ≥ 0', accepts: (v: unknown) => isNumber(v) && v >= 0 },
  fraction: { says: 'a number ≥ 0 and < 1', accepts: (v: unknown) => isNumber(v) && v >= 0 && v < 1 },
  count: { says: 'a whole number ≥ 1', accepts: (v: unknown) => Number.isInteger(v) && (v as number) >= 1 },
  flag: { says: 'true or false', accepts: (v: unknown) => typeof v === 'boolean' },
  betas: {
    says: 'two numbers ≥ 0 and < 1',
    accepts: (v: unknown) => Array.isArray(v) && v.length === 2 && v.every((b) => isNumber(b) && b >= 0 && b < 1),
  },
  threeNumbers: {
    says: 'three numbers',
    accepts: (v: unknown) => Array.isArray(v) && v.length === 3 && v.every(isNumber),
  },
} as const satisfies Readonly<Record<string, FieldKind>>

export function oneOf(...choices: readonly string[]): FieldKind {
  return { says: choices.join(' or '), accepts: (value) => choices.includes(value as string) }
}

/**
 * The fields of a configuration, checked: an object whose fields are all among `kinds` and hold what these accept; fields may
 * be left out. Throws `argument` that names every unknown field and what is known, or the first wrong one with its value.
 */
export function readFields(
  where: string,
  config: unknown,
  kinds: Readonly<Record<string, FieldKind>>,
): Readonly<Record<string, unknown>> {
  if (config === null || typeof config !== 'object' || Array.isArray(config))
    throw new FoveaError('argument', where, `takes an object, got ${JSON.stringify(config)}`)
  const fields = config as Readonly<Record<string, unknown>>
  const known = Object.keys(kinds)
  const unknown = Object.keys(fields).filter((name) => !Object.hasOwn(kinds, name))
  if (unknown.length > 0)
    throw new FoveaError(
      'argument',
      where,
      `has no field ${unknown.map((name) => `${name}${meant(name, known)}`).join(', no field ')}`,
    )
  for (const [name, value] of Object.entries(fields)) {
    const kind = kinds[name] as FieldKind
    if (value !== undefined && !kind.accepts(value))
      throw new FoveaError('argument', where, `${name} must be ${kind.says}, got ${JSON.stringify(value)}`)
  }
  return fields
}
