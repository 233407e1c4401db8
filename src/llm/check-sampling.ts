import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import type { SamplingOptions } from './generation.ts'

/** What each number may be, both ends included. */
interface Range {
  readonly low: number
  readonly high: number
  readonly whole?: true
}

type Field = keyof SamplingOptions

const ranges: Readonly<Record<Field, Range>> = {
  temperature: { low: 0, high: 100 },
  topK: { low: 0, high: 2 ** 24, whole: true },
  topP: { low: 0, high: 1 },
  minP: { low: 0, high: 1 },
  repetitionPenalty: { low: 0.01, high: 100 },
  presencePenalty: { low: -2, high: 2 },
  frequencyPenalty: { low: -2, high: 2 },
  seed: { low: 0, high: 2 ** 32 - 1, whole: true },
}

const fields: FieldsOf<SamplingOptions> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repetitionPenalty: true,
  presencePenalty: true,
  frequencyPenalty: true,
  seed: true,
}

const defaults: Readonly<Record<Exclude<Field, 'seed'>, number>> = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
}

/**
 * Sampling options with every default filled in, a seed that was not given drawn at random. Throws `argument` in the name of
 * `where` for a field that is unknown, no number or out of range, with its value: temperature 0 … 100, topK a whole number
 * up to 2²⁴, topP and minP 0 … 1, repetitionPenalty 0.01 … 100, presencePenalty and frequencyPenalty −2 … 2, seed a
 * whole number up to 2³² − 1.
 */
export function checkSampling(where: string, options: SamplingOptions): Required<SamplingOptions> {
  checkFields(where, 'sampling', options, fields)
  for (const [field, value] of Object.entries(options) as [Field, unknown][])
    if (value !== undefined) check(where, field, value)
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return { ...defaults, seed: given.seed ?? randomSeed(), ...given }
}

function check(where: string, field: Field, value: unknown): void {
  const { low, high, whole } = ranges[field]
  const fits = typeof value === 'number' && value <= high && value >= low && (!whole || Number.isInteger(value))
  if (fits) return
  const range = `from ${low} to ${high}`
  throw new FoveaError(
    'argument',
    where,
    `sampling.${field} must be a ${whole ? 'whole ' : ''}number ${range}, got ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`,
  )
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] as number
}
