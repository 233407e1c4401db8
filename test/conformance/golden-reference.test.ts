import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { flashReference } from '../../src/attention/softmax/flash.reference.ts'
import { relativeRms } from './closeness.ts'
import { goldenCase } from './golden-case.ts'
import { goldenHooks } from './golden-hooks.ts'

const folder = new URL('../golden/attention/', import.meta.url)
const names = readdirSync(folder).map((file) => file.replace('.safetensors', ''))

describe('the float64 reference gives the recorded results', () => {
  test('every recorded case has hooks', () => {
    expect(names.sort()).toEqual(Object.keys(goldenHooks).sort())
    expect(names.length).toBe(29)
  })
  test.each(names)('%s', (name) => {
    const input = goldenCase(name, readFileSync(new URL(`${name}.safetensors`, folder)))
    const { output, lse } = flashReference(input)
    expect(relativeRms(output, input.golden?.output ?? []).error).toBeLessThan(1e-7)
    if (input.golden?.lse) expect(relativeRms(lse, input.golden.lse).error).toBeLessThan(1e-7)
  })
})
