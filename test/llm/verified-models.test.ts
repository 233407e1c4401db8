import { existsSync, readFileSync } from 'node:fs'
import { beforeEach, expect, it } from 'vitest'
import { architectures } from '../../src/model/architectures/find-architecture.ts'
import { encoders } from '../../src/model/encoders/find-encoder.ts'
import { changedGguf, recordedGguf } from './gguf-cases.ts'
import { parityFolder, parityFolders } from './parity-folder.ts'
import verified from './verified-models.json' with { type: 'json' }

const able = parityFolders('architectures').length > 0

const typeOf = (name: string): string => {
  const root = existsSync(parityFolder(name, 'hf')) ? 'hf' : 'architectures'
  return (JSON.parse(readFileSync(`${parityFolder(name, root)}config.json`, 'utf8')) as { model_type: string })
    .model_type
}

beforeEach((context) => {
  if (!able) context.skip('hardware: ../shared/golden/architectures is not beside the project')
})

// docs/models.md is generated from this list
it('lists every recorded model whose architecture opens, and no other', () => {
  const known = new Set([...architectures, ...encoders].flatMap(({ modelTypes }) => modelTypes))
  const names = [...parityFolders('hf'), ...parityFolders('architectures')].filter((name) => known.has(typeOf(name)))
  expect(Object.values(verified.recorded).flat().sort()).toEqual(names.sort())
  for (const [type, cases] of Object.entries(verified.recorded))
    expect(new Set(cases.map(typeOf))).toEqual(new Set([type]))
})

it('says of llama.cpp what it is asked', () => {
  const { asRecorded, otherSizes } = verified.llamaCpp
  const recorded = new Set([...recordedGguf, ...parityFolders('hf')].map(typeOf))
  expect(asRecorded).toEqual([...recorded].sort())
  const changed = new Set(Object.keys(changedGguf).map(typeOf))
  expect(otherSizes).toEqual([...changed].filter((type) => !recorded.has(type)).sort())
})
