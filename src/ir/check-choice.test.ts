import { expect, it } from 'vitest'
import { checkChoice } from './check-choice.ts'
import { FoveaError } from './error.ts'

const formats = ['f32', 'f16', 'int8'] as const
const check = (value: unknown) => () => checkChoice('openEngine', 'cacheFormat', value, formats)

it('words that are none of those there are, are refused with the one that was meant', () => {
  expect(check('int4')).toThrow(
    new FoveaError(
      'argument',
      'openEngine',
      'cacheFormat must be one of f32, f16, int8, got "int4"; did you mean int8?',
    ),
  )
  expect(check('q8_0')).toThrow(/^openEngine: cacheFormat must be one of f32, f16, int8, got "q8_0"$/)
  expect(check('F32')).toThrow(/did you mean f32/)
  for (const [wrong, shown] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [8, '8'],
    [{ toString: () => 'f32' }, 'an object'],
    [['f32'], 'an object'],
  ])
    expect(check(wrong)).toThrow(new RegExp(`got ${shown}$`))
  for (const known of formats) expect(check(known)).not.toThrow()
})
