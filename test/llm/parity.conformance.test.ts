import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CachedSequence } from '../../src/cache/cached-sequence.ts'
import { type Device, openDevice } from '../../src/device/index.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { type ModelParts, openParts } from '../../src/llm/open-parts.ts'
import { openParityCase, parityFolders } from './parity-folder.ts'
import { runTokens } from './run-tokens.ts'

const tolerance = 2e-4

describe.each(['wasm', 'webgpu'] as const)('models of Hugging Face transformers on %s', (kind) => {
  const folders = parityFolders(kind)
  let device: Device
  beforeAll(async () => {
    device = await openDevice(kind)
  })
  afterAll(() => device.dispose())

  if (folders.length === 0)
    it('logits and greedy tokens', (context) => context.skip('hardware: ../shared/golden/hf is not beside the project'))

  it.each(folders)('%s: logits through contiguous, paged and shared pages, however the tokens come', async (name) => {
    const recorded = await openParityCase(name)
    const { tokens, logits, spread } = recorded
    const vocabSize = logits.length / tokens.length
    const closeTo = (got: Float32Array, from: number, what: string) => {
      let worst = 0
      for (const [i, x] of got.entries()) {
        const error = Math.abs(x - (logits[from * vocabSize + i] as number)) / spread
        // NaN is no small error
        if (!(error <= worst)) worst = error
      }
      expect(worst, `${name}, ${what}`).toBeLessThanOrEqual(tolerance)
    }
    const through = async (parts: ModelParts, chunk: number, what: string) => {
      const sequence = parts.cache.open([])
      for (let from = 0; from < tokens.length; from += chunk) {
        const [got] = await runTokens(parts, [{ sequence, tokens: tokens.slice(from, from + chunk) }])
        closeTo(got as Float32Array, from, `${what}, ${chunk} at a time, from ${from}`)
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
        closeTo(rest as Float32Array, 64, 'shared')
        for (const sequence of [first, shared]) sequence.close({ keep: false })
        await batched(scored, tokens, closeTo)
      } finally {
        await scored.release()
      }
    }
  })

  it.each(folders)('%s: greedy tokens, alone, in a batch, in chunks and through drafts', async (name) => {
    const { tokens, greedy, checkpoint } = await openParityCase(name)
    await checkpoint.close()
    for (const options of [
      { chunkSize: 512 },
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

/** The same parts with a runner that gives the logits of every token. */
async function openScored(parts: ModelParts): Promise<ModelParts> {
  const { DecoderRunner } = await import('../../src/model/decoder-runner.ts')
  const { cache, runner, device } = parts
  const { pools, pageTable, maxTokens } = cache
  const policy = parts.plan.cache.policy ? { sinks: 0, ...parts.plan.cache.policy } : null
  const limits = { tokens: 128, rows: 128, sequences: 4, decodeQueries: 1 }
  const scored = new DecoderRunner(device, runner.weights, { pools, pageTable, policy, maxTokens }, limits)
  return {
    ...parts,
    runner: scored,
    release: async () => {
      scored.dispose()
      await parts.release()
    },
  }
}

/** Three sequences at different places of the text in the same steps. */
async function batched(
  parts: ModelParts,
  tokens: readonly number[],
  closeTo: (got: Float32Array, from: number, what: string) => void,
): Promise<void> {
  const sequences: CachedSequence[] = [30, 47, 64].map(() => parts.cache.open([]))
  const starts = await runTokens(
    parts,
    sequences.map((sequence, i) => ({ sequence, tokens: tokens.slice(0, [30, 47, 1][i]) })),
  )
  starts.forEach((got, i) => {
    closeTo(got, 0, `in a batch, sequence ${i}`)
  })
  for (const counts of [
    [1, 1, 20],
    [7, 1, 1],
  ]) {
    const from = sequences.map(({ length }) => length)
    const got = await runTokens(
      parts,
      sequences.map((sequence, i) => ({
        sequence,
        tokens: tokens.slice(from[i], (from[i] as number) + (counts[i] as number)),
      })),
    )
    got.forEach((logits, i) => {
      closeTo(logits, from[i] as number, `in a mixed batch, sequence ${i}`)
    })
  }
  for (const sequence of sequences) sequence.close({ keep: false })
}
