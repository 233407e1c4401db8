import { describe, expect, it } from 'vitest'
import { checkFields, type FieldsOf } from './check-fields.ts'
import { FoveaError } from './error.ts'

interface Options {
  readonly temperature?: number
  readonly topK?: number
}
const fields: FieldsOf<Options> = { temperature: true, topK: true }
const check = (options: unknown) => () => checkFields('generate', 'sampling', options as Options, fields)

describe('fields that an options object does not have', () => {
  it('are refused with the name that was probably meant', () => {
    expect(check({ temperatur: 0.5 })).toThrow(
      new FoveaError('argument', 'generate', 'sampling has no field temperatur; did you mean temperature?'),
    )
    expect(check({ topk: 1 })).toThrow(/has no field topk; did you mean topK\?/)
    expect(check({ banana: 1 })).toThrow(/has no field banana; there are temperature, topK/)
    expect(check({ temprature: undefined })).toThrow(/did you mean temperature/)
    // names that every object inherits are no fields
    expect(check({ toString: 1 })).toThrow(/has no field toString/)
    expect(check(JSON.parse('{"__proto__": 1}'))).toThrow(/has no field __proto__/)
  })

  it('what is no object is said', () => {
    for (const [wrong, name] of [
      [null, 'null'],
      [3, 'number'],
      ['a', 'string'],
      [[], 'an array'],
      [undefined, 'undefined'],
    ])
      expect(check(wrong)).toThrow(`sampling must be an object, got ${name}`)
  })

  it('known ones pass', () => {
    expect(check({})).not.toThrow()
    expect(check({ temperature: undefined, topK: 3 })).not.toThrow()
  })
})
