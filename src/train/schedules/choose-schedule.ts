import { FoveaError } from '../../tile/index.ts'
import { type FieldKind, fieldKinds, oneOf, readFields } from '../read-fields.ts'
import { type ConstantOptions, constant } from './constant.ts'
import { type CosineOptions, cosine } from './cosine.ts'
import { type OneCycleOptions, oneCycle } from './one-cycle.ts'
import type { Schedule } from './schedule.ts'
import { type WarmupStableDecayOptions, warmupStableDecay } from './warmup-stable-decay.ts'

/** A schedule as a configuration names it; the steps are the run's. */
export type ScheduleConfig =
  | ({ readonly name: 'constant' } & Omit<ConstantOptions, 'steps'>)
  | ({ readonly name: 'cosine' } & Omit<CosineOptions, 'steps'>)
  | ({ readonly name: 'warmup-stable-decay' } & Omit<WarmupStableDecayOptions, 'steps'>)
  | ({ readonly name: 'one-cycle' } & Omit<OneCycleOptions, 'steps'>)

export type ScheduleName = ScheduleConfig['name']

interface Entry {
  readonly fields: Readonly<Record<string, FieldKind>>
  make(options: never): Schedule
}

const { notNegative, positive } = fieldKinds

const entries: Readonly<Record<ScheduleName, Entry>> = {
  constant: { fields: { warmup: notNegative }, make: constant },
  cosine: { fields: { warmup: notNegative, final: notNegative }, make: cosine },
  'warmup-stable-decay': {
    fields: { warmup: notNegative, decay: notNegative, final: notNegative, shape: oneOf('linear', 'sqrt') },
    make: warmupStableDecay,
  },
  'one-cycle': { fields: { rise: notNegative, divisor: positive, finalDivisor: positive }, make: oneCycle },
}

/**
 * Reads `{ name, warmup, … }` for a run of so many steps. Throws `argument` for an unknown name, unknown fields, and settings that
 * contradict each other or the length of the run, each named.
 */
export function chooseSchedule(config: ScheduleConfig, steps: number): Schedule {
  const { name, ...options } = config as Readonly<Record<string, unknown>>
  if (typeof name !== 'string' || !Object.hasOwn(entries, name))
    throw new FoveaError(
      'argument',
      'schedule',
      `name must be one of ${Object.keys(entries).join(', ')}, got ${JSON.stringify(name)}`,
    )
  const { fields, make } = entries[name as ScheduleName]
  const read = readFields(`schedule ${name}`, options, fields)
  const given = Object.entries(read).filter(([, value]) => value !== undefined)
  return make({ ...Object.fromEntries(given), steps } as never)
}
