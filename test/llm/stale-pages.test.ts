import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pagePlanes, writePlane } from '../../src/cache/page-planes.ts'
import { type Device, openDevice } from '../../src/device/index.ts'
import type { EngineOptions } from '../../src/llm/engine-options.ts'
import { type ModelParts, openParts } from '../../src/llm/open-parts.ts'
import { DecoderRunner } from '../../src/model/decoder-runner.ts'
import { runTokens } from './run-tokens.ts'

const model = new URL('../../models/books-recall-16m.gguf', import.meta.url).pathname
const prompts = [33, 20, 5].map((count, p) =>
  Array.from({ length: count + 12 }, (_, i) => 3 + ((i * 37 + p * 11) % 900)),
)

/** Every bit set, everywhere in the pages: no number in floats and in scales. */
function spoil({ cache }: ModelParts): void {
  for (const plane of pagePlanes(cache.pools)) {
    const pages = Array.from({ length: cache.pools[plane.layer]?.pages ?? 0 }, (_, page) => page)
    writePlane(plane, pages, new Uint8Array(pages.length * plane.bytesPerPage).fill(0xff))
  }
  for (const { recent } of cache.pools)
    recent
      ?.view({ shape: [recent.size], strides: [1], offset: recent.offset })
      .write(new Float32Array(recent.size).fill(Number.NaN))
}

/** Prefill of three sequences in one step, single tokens, several at once (as drafts are), and again after dropping some. */
async function logitsOf(parts: ModelParts): Promise<Float32Array> {
  const { cache, device, runner } = parts
  const { pools, pageTable, maxTokens } = cache
  const policy = parts.plan.cache.policy ? { sinks: 0, ...parts.plan.cache.policy } : null
  const limits = { tokens: 128, rows: 128, sequences: 4, decodeQueries: 1 }
  const scored = new DecoderRunner(device, runner.weights, { pools, pageTable, policy, maxTokens }, limits)
  const sequences = prompts.map(() => cache.open([]))
  const found: Float32Array[] = []
  for (const counts of [
    [33, 20, 5],
    [1, 1, 1],
    [1, 4, 1],
    [3, 1, 1],
    [1, 1, 2],
  ]) {
    const shares = sequences.map((sequence, i) => ({
      sequence,
      tokens: (prompts[i] as number[]).slice(sequence.length, sequence.length + (counts[i] as number)),
    }))
    found.push(...(await runTokens({ ...parts, runner: scored }, shares)))
  }
  for (const sequence of sequences) sequence.close({ keep: false })
  scored.dispose()
  return Float32Array.from(found.flatMap((logits) => [...logits]))
}

describe('what earlier sequences left in the pages', () => {
  let device: Device
  beforeAll(async () => {
    device = await openDevice('wasm', { wasm: { threads: 2 } })
  })
  afterAll(() => device.dispose())

  it.each<[string, EngineOptions]>([
    ['f32', { cacheFormat: 'f32' }],
    ['f16, pages of 16', { cacheFormat: 'f16', pageSize: 16 }],
    ['f32, a window and sinks', { cacheFormat: 'f32', pageSize: 16, cachePolicy: { window: 16, sinks: 4 } }],
    ['q8', { cacheFormat: 'q8' }],
    ['q4', { cacheFormat: 'q4' }],
  ])('%s: reaches no logits', async (_, options) => {
    const parts = await openParts(model, { device, contextLength: 128, maxSequences: 4, ...options }, 'generate')
    try {
      const clean = await logitsOf(parts)
      expect(clean.every(Number.isFinite)).toBe(true)
      spoil(parts)
      const found = await logitsOf(parts)
      const wrong = clean.findIndex((x, i) => !Object.is(x, found[i]))
      expect(wrong, `logit ${wrong} is ${found[wrong]}, not ${clean[wrong]}`).toBe(-1)
    } finally {
      await parts.release()
    }
  })
})
