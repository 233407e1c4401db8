import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { type ModelParts, openParts } from '../../src/llm/open-parts.ts'
import { openParityCase, parityFolders } from './parity-folder.ts'
import { batched, closeTo, openScored } from './parity-runs.ts'
import { runTokens } from './run-tokens.ts'

describe.each(['wasm', 'webgpu'] as const)('models of Hugging Face transformers on %s', (kind) => {
  const folders = parityFolders('hf')
  let device: Device
  beforeAll(async () => {
    device = await openDevice(kind)
  })
  afterAll(() => device.dispose())

  if (folders.length === 0)
    it('logits and greedy tokens', (context) => context.skip('hardware: ../shared/golden/hf is not beside the project'))

  it.each(folders)('%s: logits through contiguous, paged and shared pages, however the tokens come', async (name) => {
    const recorded = await openParityCase(name)
    const { tokens } = recorded
    const close = closeTo(name, recorded)
    const through = async (parts: ModelParts, chunk: number, what: string) => {
      const sequence = parts.cache.open([])
      for (let from = 0; from < tokens.length; from += chunk) {
        const [got] = await runTokens(parts, [{ sequence, tokens: tokens.slice(from, from + chunk) }])
        close(got as Float32Array, from, `${what}, ${chunk} at a time, from ${from}`)
      }
      return sequence
    }
    for (const pageSize of [256, 16]) {
      const { checkpoint } = pageSize === 256 ? recorded : await openParityCase(name)
      const parts = await openParts(
        checkpoint,
        { device, contextLength: 128, pageSize, maxSequences: 4, cacheFormat: 'f32' },
        'generate',
      )
      // every token's logits are looked at, not only those that are drawn from
      const scored = await openScored(parts)
      try {
        const what = pageSize === 256 ? 'contiguous' : 'paged'
        for (const chunk of [70, 17, 1]) (await through(scored, chunk, what)).close({ keep: false })
        if (pageSize === 256) continue
        const first = await through(scored, 70, 'before sharing')
        const shared = scored.cache.open(tokens)
        expect(shared.length).toBe(64)
        const [rest] = await runTokens(scored, [{ sequence: shared, tokens: tokens.slice(64) }])
        close(rest as Float32Array, 64, 'shared')
        for (const sequence of [first, shared]) sequence.close({ keep: false })
        await batched(scored, tokens, close)
      } finally {
        await scored.release()
      }
    }
  })

  it.each(folders)('%s: greedy tokens, alone, in a batch, in chunks and through drafts', async (name) => {
    const { tokens, greedy, checkpoint } = await openParityCase(name)
    await checkpoint.close()
    for (const options of [
      // pages as above: their kernels are there already
      { chunkSize: 512, pageSize: 256 },
      { chunkSize: 24, pageSize: 16, promptLookup: { tokens: 3, match: 1 } },
    ]) {
      const opened = await openParityCase(name)
      const engine = await openEngine(opened.checkpoint, {
        device,
        contextLength: 128,
        maxSequences: 3,
        cacheTokens: 400,
        cacheFormat: 'f32',
        ...options,
      })
      try {
        const ask = (prompt: readonly number[], maxTokens: number) =>
          engine.generate({ prompt, maxTokens, sampling: { temperature: 0 }, ignoreEos: true }).result
        const alone = await ask(tokens, greedy.length)
        expect(alone.tokens, `${name}, alone`).toEqual(greedy)
        const [again, longer, ...others] = await Promise.all([
          ask(tokens, greedy.length),
          ask([...tokens, ...greedy.slice(0, 5)], greedy.length - 5),
          ask(tokens.slice(0, 33), 9),
          ask(tokens.slice(5), 20),
        ])
        expect(again?.tokens, `${name}, in a batch`).toEqual(greedy)
        expect(longer?.tokens, `${name}, from its own words`).toEqual(greedy.slice(5))
        expect(others.map((other) => other.tokens.length)).toEqual([9, 20])
        expect(engine.stats().pages.used).toBe(0)
      } finally {
        await engine.close()
      }
    }
  })
})
