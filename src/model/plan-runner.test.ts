import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Device, openDevice } from '../device/index.ts'
import type { DecoderSpec } from './decoder-spec.ts'
import { openCheckpoint } from './open-checkpoint.ts'
import { planRunner } from './plan-runner.ts'

let device: Device
let spec: DecoderSpec
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 2 } })
  const checkpoint = await openCheckpoint(fileURLToPath(new URL('../../models/books-recall-16m.gguf', import.meta.url)))
  spec = checkpoint.spec
  await checkpoint.close()
})
afterAll(() => device.dispose())

it('has room for the states of a step of drafts of any length', () => {
  const [decodeQueries, sequences, maxTokens] = [8, 3, 896]
  const plan = planRunner(
    device,
    spec,
    { pageSize: 64, policy: null, maxTokens },
    { tokens: 64, rows: sequences * decodeQueries, sequences, decodeQueries },
    { compute: 'f32', query: 'f32' },
  )
  const [heads] = [...plan.heads.values()]
  const { numHeads } = spec.layers[0]?.attention ?? { numHeads: 0 }
  let split = 0
  for (let queries = 1; queries <= decodeQueries; queries++)
    for (let count = 1; count <= sequences; count++)
      for (const context of [20, 100, 300, 600, maxTokens]) {
        const splits = heads?.splitsOf(new Array<number>(count).fill(context), queries) ?? 1
        if (splits === 1) continue
        split++
        const step = `${count} sequences, ${queries} queries, ${splits} splits`
        expect(splits * count * queries * numHeads, step).toBeLessThanOrEqual(plan.stepLimits.stateRows)
      }
  expect(split).toBeGreaterThan(0)
})
