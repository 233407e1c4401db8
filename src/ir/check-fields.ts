import { meant } from './closest-name.ts'
import { FoveaError } from './error.ts'

type KeysOfUnion<T> = T extends unknown ? keyof T : never

/** The fields of an options type, each named once; a field that the type gains and the list lacks does not compile. */
export type FieldsOf<T> = Readonly<Record<KeysOfUnion<T>, true>>

/**
 * Throws `argument` in the name of `where` for options that are no plain object of known fields: what a caller misspells
 * (`{ temperatur: 0.5 }`) is told, with the name that was probably meant, instead of being read past. `what` names the
 * options in the message. A field of value undefined counts as given, as its name is as wrong.
 */
export function checkFields<T>(where: string, what: string, options: T, fields: FieldsOf<T>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new FoveaError('argument', where, `${what} must be an object, got ${kindOf(options)}`)
  for (const field of Object.keys(options))
    if (!Object.hasOwn(fields, field))
      throw new FoveaError('argument', where, `${what} has no field ${field}${meant(field, Object.keys(fields))}`)
}

const kindOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value)
