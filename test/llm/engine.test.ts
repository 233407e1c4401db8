import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import type { EngineOptions } from '../../src/llm/engine-options.ts'
import type { GenerateRequest, SamplingOptions } from '../../src/llm/generation.ts'
import type { LocalEngine } from '../../src/llm/local-engine.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { restorePrefixFile, savePrefixFile } from '../../src/llm/prefix-file.ts'

const model = new URL('../../models/books-recall-16m.gguf', import.meta.url).pathname
const opening =
  'It was a bright cold day in the harbour, and the old captain stood upon the quay with his hands behind him, looking at the water.'

let device: Device
const engines: LocalEngine[] = []
beforeAll(async () => {
  device = await openDevice('wasm')
})
afterAll(async () => {
  for (const engine of engines) await engine.close()
  device.dispose()
})

async function open(options: EngineOptions = {}): Promise<LocalEngine> {
  const engine = await openEngine(model, { device, contextLength: 512, pageSize: 16, ...options })
  engines.push(engine)
  return engine
}

const greedy = { temperature: 0 }
const draws = (seed: number) => ({ temperature: 0.9, topP: 0.95, seed })

describe('an engine', () => {
  let engine: LocalEngine
  beforeAll(async () => {
    engine = await open({ maxSequences: 4, maxQueue: 3 })
  })
  const generate = (request: Partial<GenerateRequest> = {}) =>
    engine.generate({ prompt: opening, maxTokens: 12, sampling: greedy, ...request })

  it('streams what it generates, and tells how it went', async () => {
    const progress: number[] = []
    const generation = generate({ maxTokens: 20 })
    generation.onPrefill = (done) => progress.push(done)
    let text = ''
    const tokens: number[] = []
    for await (const event of generation) {
      text += event.text
      tokens.push(event.token)
    }
    const result = await generation.result
    const prompt = engine.tokenizer.encode(opening)
    expect(result).toMatchObject({ text, tokens, finishReason: 'length' })
    expect(result.usage).toEqual({ promptTokens: prompt.length, cachedTokens: 0, completionTokens: 20 })
    expect(text).toBe(engine.tokenizer.decode(tokens))
    expect(progress.at(-1)).toBe(prompt.length)
    expect(text.length).toBeGreaterThan(20)
  })

  it('finds the beginning of a prompt that was computed before', async () => {
    const prompt = engine.tokenizer.encode(`${opening} ${opening}`)
    const first = await generate({ prompt }).result
    const again = await generate({ prompt }).result
    expect(again.tokens).toEqual(first.tokens)
    expect(again.usage.cachedTokens).toBe(Math.floor((prompt.length - 1) / 16) * 16)
  })

  it('draws by seed and position: alone, beside others and again', async () => {
    const alone = await generate({ sampling: draws(7), maxTokens: 24 }).result
    const together = await Promise.all(
      [1, 2, 7, 3].map((seed) => generate({ sampling: draws(seed), maxTokens: 24 }).result),
    )
    expect(together[2]?.tokens).toEqual(alone.tokens)
    expect(new Set(together.map(({ tokens }) => tokens.join())).size).toBe(4)
  })

  it('ends before a stop text, wherever tokens cut it', async () => {
    const { text } = await generate({ maxTokens: 30 }).result
    const stop = text.slice(11, 19)
    const stopped = await generate({ maxTokens: 30, stop: ['never found', stop] }).result
    expect(stopped.finishReason).toBe('stop')
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)))
    const streamed = generate({ maxTokens: 30, stop: [stop] })
    let given = ''
    for await (const event of streamed) given += event.text
    expect(given).toBe(stopped.text)
  })

  it('gives log-probabilities of what it chose and of what was likely', async () => {
    const events = []
    for await (const event of generate({ maxTokens: 4, logprobs: 5 })) events.push(event)
    for (const { token, logprob } of events) {
      expect(logprob?.token).toBe(token)
      expect(logprob?.top).toHaveLength(5)
      // greedy: the most likely one is chosen
      expect(logprob?.top[0]?.token).toBe(token)
      expect(logprob?.top[0]?.logprob).toBeCloseTo(logprob?.logprob as number, 4)
      expect(logprob?.logprob).toBeLessThan(0)
    }
  })

  it('keeps what was said from coming back, where that is penalised', async () => {
    const repeated = await generate({ maxTokens: 60, ignoreEos: true }).result
    const varied = await generate({
      maxTokens: 60,
      ignoreEos: true,
      sampling: { temperature: 0, repetitionPenalty: 1.6, frequencyPenalty: 1, presencePenalty: 0.5 },
    }).result
    expect(new Set(varied.tokens).size).toBeGreaterThan(new Set(repeated.tokens).size + 5)
  })

  it('is cancelled by whoever asked, however they say so', async () => {
    const left = generate({ maxTokens: 300 })
    for await (const _ of left) break
    expect((await left.result).finishReason).toBe('cancelled')
    const controller = new AbortController()
    const aborted = generate({ maxTokens: 300, signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    expect((await aborted.result).finishReason).toBe('cancelled')
    expect(() => generate({ signal: controller.signal })).toThrow(/engine\.generate: the signal was aborted/)
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } })
  })

  it('refuses what it cannot do, with the numbers', () => {
    const word = engine.tokenizer.encode('word', { special: false })[0] as number
    const long = new Array<number>(600).fill(word)
    expect(() => generate({ prompt: long })).toThrow(/prompt has 600 tokens; the context holds 512/)
    expect(() => generate({ prompt: [] })).toThrow(/prompt has no tokens/)
    expect(() => generate({ prompt: [1, 8192] })).toThrow(/prompt has 8192 at 1; tokens go from 0 to 8191/)
    expect(() => generate({ maxTokens: 0 })).toThrow(/maxTokens must be a whole number of at least 1, got 0/)
    expect(() => generate({ sampling: { temperature: -1 } })).toThrow(/temperature/)
    expect(() => generate({ sampling: { topP: Number.NaN } })).toThrow(/topP/)
    expect(() => generate({ stop: [''] })).toThrow(/stop must be/)
    expect(() => generate({ logprobs: 21 })).toThrow(/logprobs must be/)
    expect(() => generate({ prompt: 3 as never })).toThrow(/prompt must be a text or token ids, got number/)
  })

  it('drops the oldest tokens of a long prompt when asked to, and ends with the context', async () => {
    const word = engine.tokenizer.encode('word', { special: false })[0] as number
    const { usage } = await generate({ prompt: new Array<number>(600).fill(word), truncatePrompt: true, maxTokens: 8 })
      .result
    expect(usage.promptTokens).toBe(512 - 8)
    const filled = await generate({ prompt: new Array<number>(505).fill(word), maxTokens: 100, ignoreEos: true }).result
    expect(filled).toMatchObject({ finishReason: 'length', usage: { completionTokens: 7 } })
  })

  it('lets only so many wait', async () => {
    const all = Array.from({ length: 7 }, () => generate({ maxTokens: 30 }))
    expect(() => generate()).toThrow(/generations run and \d wait; the queue holds 3/)
    for (const generation of all) generation.cancel()
    const reasons = await Promise.all(all.map(async ({ result }) => (await result).finishReason))
    expect(reasons).toEqual(new Array(7).fill('cancelled'))
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } })
  })

  it('allocates what was planned, and not a byte more while it works', () => {
    const { memory } = engine.stats()
    expect(Math.abs(memory.allocated - memory.planned) / memory.planned).toBeLessThan(0.01)
    expect(memory.peak).toBe(memory.allocated)
  })
})

describe('an engine in want of pages', () => {
  it('lets the youngest wait, and nobody gets other tokens for it', async () => {
    const roomy = await open({ maxSequences: 4, cacheTokens: 4000 })
    // two sequences of 150 tokens and more do not fit into 17 + 3 pages of 16
    const tight = await open({ maxSequences: 3, contextLength: 272, cacheTokens: 16, sharePrefixes: false })
    const prompts = [0, 1, 2].map((i) => `${'A ship. '.repeat(10 + i)}${opening}`)
    const ask = (engine: LocalEngine) =>
      Promise.all(
        prompts.map(
          (prompt, i) => engine.generate({ prompt, maxTokens: 90, ignoreEos: true, sampling: draws(i) }).result,
        ),
      )
    const [wanted, got] = [await ask(roomy), await ask(tight)]
    expect(got.map(({ tokens }) => tokens)).toEqual(wanted.map(({ tokens }) => tokens))
    expect(tight.stats()).toMatchObject({ pages: { used: 0 }, finished: { length: 3, failed: 0 } })
    expect(tight.stats().steps).toBeGreaterThan(roomy.stats().steps)
  })
})

describe('drafts', () => {
  const told = 'The secret code of the amber door is'
  const prompts = [`${'The secret word is lantern. '.repeat(6)}The secret`, `${told} 48213. ${opening} ${told}`]
  // keys in bf16 round differently in steps of several tokens, which turns a draw now and then
  const cacheFormat = 'f32'
  it.each<[string, EngineOptions, SamplingOptions]>([
    ['by look-up, greedy', { promptLookup: { tokens: 4 } }, greedy],
    ['by look-up, drawn', { promptLookup: { tokens: 3, match: 1 } }, draws(11)],
    ['by a model, greedy', { draftModel: { model, tokens: 4 } }, greedy],
    ['by a model, drawn', { draftModel: { model, tokens: 3 } }, draws(5)],
  ])('%s: the tokens are those without', async (_name, options, sampling) => {
    const plain = await open({ cacheFormat })
    const drafted = await open({ ...options, cacheFormat })
    const ask = (engine: LocalEngine) =>
      Promise.all(prompts.map((prompt) => engine.generate({ prompt, maxTokens: 40, ignoreEos: true, sampling }).result))
    const [wanted, got] = [await ask(plain), await ask(drafted)]
    expect(got.map(({ tokens }) => tokens)).toEqual(wanted.map(({ tokens }) => tokens))
    const { draftTokens, acceptedTokens, steps, pages } = drafted.stats()
    expect(acceptedTokens).toBeGreaterThan(0)
    expect(draftTokens).toBeGreaterThanOrEqual(acceptedTokens)
    expect(steps).toBeLessThan(plain.stats().steps)
    expect(pages.used).toBe(0)
    // the same model foresees its own greedy tokens
    if (options.draftModel && sampling === greedy) expect(acceptedTokens / draftTokens).toBeGreaterThan(0.9)
    await plain.close()
    await drafted.close()
  })
})

describe('a saved prefix', () => {
  it('is restored in another engine, and refused by another model, format or with a flipped byte', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fovea-'))
    const path = join(folder, 'prefix')
    try {
      const prompt = `${opening} ${opening}`
      const first = await open()
      const { tokens } = await first.generate({ prompt, maxTokens: 16, sampling: greedy }).result
      const ids = first.tokenizer.encode(prompt)
      const saved = await savePrefixFile(first, ids, path)
      expect(saved.tokens).toBe(Math.floor(ids.length / 16) * 16)

      const second = await open()
      expect([...(await restorePrefixFile(second, path))]).toEqual(ids.slice(0, saved.tokens))
      const restored = await second.generate({ prompt, maxTokens: 16, sampling: greedy }).result
      expect(restored.tokens).toEqual(tokens)
      expect(restored.usage.cachedTokens).toBe(saved.tokens)

      const other = await open({ cacheFormat: 'f16' })
      await expect(restorePrefixFile(other, path)).rejects.toThrow(/restorePrefix: .*f16/)
      const bytes = await readFile(path)
      bytes[bytes.length - 1000] = (bytes[bytes.length - 1000] as number) ^ 4
      await writeFile(path, bytes)
      await expect(restorePrefixFile(await open(), path)).rejects.toMatchObject({ code: 'format' })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('closing an engine', () => {
  it('finishes what runs when it drains, cancels it when not, and refuses what comes later', async () => {
    const draining = await open()
    const last = draining.generate({ prompt: opening, maxTokens: 10, ignoreEos: true })
    const closed = draining.close({ drain: true })
    expect(() => draining.generate({ prompt: opening })).toThrow(/the engine was closed/)
    expect((await last.result).finishReason).toBe('length')
    await closed
    const before = device.memory.allocated
    const stopping = await open()
    const cut = stopping.generate({ prompt: opening, maxTokens: 300 })
    await stopping.close()
    expect((await cut.result).finishReason).toBe('cancelled')
    expect(device.memory.allocated).toBe(before)
  })
})

it('says what is wrong with its options', async () => {
  const opened = (options: EngineOptions) => openEngine(model, { device, ...options })
  await expect(opened({ contextLength: 40000 })).rejects.toThrow(
    /contextLength must be a whole number from 2 to 32768, got 40000/,
  )
  await expect(opened({ pageSize: 8 })).rejects.toThrow(/pageSize must be a whole number from 16 to 256, got 8/)
  await expect(opened({ maxSequences: 0 })).rejects.toThrow(/maxSequences/)
  await expect(opened({ promptLookup: { tokens: 2 }, draftModel: { model, tokens: 2 } })).rejects.toThrow(/choose one/)
  await expect(openEngine('/nowhere.gguf')).rejects.toMatchObject({ code: 'io' })
})
