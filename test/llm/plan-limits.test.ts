import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { FoveaError } from '../../src/ir/error.ts'
import { openEngine, planEngine } from '../../src/llm/index.ts'
import { openCheckpoint } from '../../src/model/index.ts'

const model = new URL('../../models/books-recall-16m.gguf', import.meta.url).pathname

let device: Device
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 1, maxBytes: 96 * 2 ** 20 } })
})
afterAll(() => device.dispose())

async function refusalOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return 'none'
  } catch (error) {
    if (!(error instanceof FoveaError)) throw error
    return `${error.code} ${error.message}`
  }
}

it('planEngine refuses what openEngine refuses, in its words', async () => {
  const codes = new Set<string>()
  const options = fc.record({
    chunkSize: fc.constantFrom(16, 512, 65_536),
    maxSequences: fc.constantFrom(1, 8, 256),
    contextLength: fc.constantFrom(64, 512),
    cacheTokens: fc.constantFrom(1024, 10_000_000),
    cacheFormat: fc.constantFrom('f32', 'bf16', 'q8'),
  })
  await fc.assert(
    fc.asyncProperty(options, async (drawn) => {
      const checkpoint = await openCheckpoint(model)
      const planned = await refusalOf(async () => planEngine(device, checkpoint, drawn))
      expect(device.memory.allocated).toBe(0)
      await checkpoint.close()
      const opened = await refusalOf(async () => (await openEngine(model, { ...drawn, device })).close())
      // that all of it together does not fit is found by opening
      if (!opened.startsWith('memory ')) expect(planned).toBe(opened)
      codes.add(opened.split(' ')[0] ?? '')
    }),
    {
      numRuns: 15,
      examples: [[{ chunkSize: 16, maxSequences: 1, contextLength: 64, cacheTokens: 1024, cacheFormat: 'q8' }]],
    },
  )
  for (const code of ['none', 'limit']) expect(codes).toContain(code)
})
