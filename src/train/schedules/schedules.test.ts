import { describe, expect, it } from 'vitest'
import { chooseSchedule } from './choose-schedule.ts'
import { constant } from './constant.ts'
import { cosine } from './cosine.ts'
import { oneCycle } from './one-cycle.ts'
import { warmupStableDecay } from './warmup-stable-decay.ts'

describe('schedules', () => {
  it.each<[string, (step: number) => number, Readonly<Record<number, number>>]>([
    ['constant', constant({ steps: 10 }), { 1: 1, 10: 1 }],
    ['constant with warm-up', constant({ steps: 10, warmup: 4 }), { 1: 0.25, 4: 1, 5: 1, 10: 1 }],
    [
      'cosine',
      cosine({ steps: 110, warmup: 10, final: 0.2 }),
      { 1: 0.1, 10: 1, 35: 0.2 + 0.4 * (1 + Math.SQRT1_2), 60: 0.6, 110: 0.2, 500: 0.2 },
    ],
    [
      'warm-up–stable–decay',
      warmupStableDecay({ steps: 100, warmup: 0.1, decay: 20, final: 0.5 }),
      { 5: 0.5, 10: 1, 80: 1, 90: 0.75, 100: 0.5 },
    ],
    [
      'decay by a root',
      warmupStableDecay({ steps: 100, warmup: 0, decay: 0.16, shape: 'sqrt' }),
      { 1: 1, 84: 1, 88: 0.5, 100: 0 },
    ],
    [
      'one cycle',
      oneCycle({ steps: 100, rise: 0.21, divisor: 10, finalDivisor: 100 }),
      { 1: 0.1, 11: 0.55, 21: 1, 100: 0.001 },
    ],
    ['by name', chooseSchedule({ name: 'cosine', warmup: 0.1 }, 100), { 1: 0.1, 10: 1, 55: 0.5, 100: 0 }],
    ['a single step', cosine({ steps: 1, warmup: 1 }), { 1: 1 }],
  ])('%s', (_name, schedule, expected) => {
    for (const [step, factor] of Object.entries(expected)) expect(schedule(Number(step))).toBeCloseTo(factor, 12)
    for (let step = 1; step < 200; step++) expect(schedule(step) >= 0 && schedule(step) <= 1).toBe(true)
  })

  it.each<[() => unknown, RegExp]>([
    [() => cosine({ steps: 0 }), /cosine: steps must be a whole number ≥ 1, got 0/],
    [() => cosine({ steps: 10, warmup: 11 }), /cosine: warmup 11 is more than all 10 steps/],
    [() => cosine({ steps: 10, warmup: 2.5 }), /cosine: warmup must be a whole number ≥ 0 or a fraction .* got 2.5/],
    [() => cosine({ steps: 10, final: 2 }), /cosine: final must be in 0 … 1, got 2/],
    [
      () => warmupStableDecay({ steps: 10, warmup: 6, decay: 0.5 }),
      /warmupStableDecay: warmup 6 and decay 5 are together more than all 10 steps/,
    ],
    [() => oneCycle({ steps: 10, divisor: 0.5 }), /oneCycle: divisor must be a number ≥ 1, got 0.5/],
    [
      () => chooseSchedule({ name: 'cosin' } as never, 10),
      /schedule: name must be one of constant, cosine.* got "cosin"/,
    ],
    [
      () => chooseSchedule({ name: 'cosine', decay: 3, rise: 1 } as never, 10),
      /schedule cosine: has no field decay; there are warmup, final, no field rise/,
    ],
    [() => chooseSchedule({ name: 'cosine', warmup: '3' } as never, 10), /schedule cosine: warmup must be .* got "3"/],
  ])('refuses contradictions: case %#', (make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'argument', message: expect.stringMatching(message) }))
  })
})
