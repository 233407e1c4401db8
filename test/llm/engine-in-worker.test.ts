import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GenerateRequest, type GenerationResult, openEngine, type WorkerEngine } from '../../src/llm/index.ts'
import { bytesSource } from '../../src/model/index.ts'

// a worker starts from a file, and Node 20 runs none with types: the built package
const built = pathToFileURL(join(import.meta.dirname, '..', '..', 'dist', 'llm', 'index.js')).href
const model = join(import.meta.dirname, '..', '..', 'models', 'books-recall-16m.gguf')
const options = { device: 'wasm', contextLength: 256, maxSequences: 2, chunkSize: 32, pageSize: 32 } as const
const greedy: GenerateRequest = {
  prompt: 'Call me Ishmael. Some years ago',
  maxTokens: 12,
  sampling: { temperature: 0 },
}
const endless: GenerateRequest = { ...greedy, maxTokens: 200, ignoreEos: true }

let openInWorker: typeof import('../../src/llm/index.ts').openEngineInWorker
let engine: WorkerEngine
let expected: GenerationResult
let encoded: readonly number[]

beforeAll(async () => {
  openInWorker = ((await import(built)) as typeof import('../../src/llm/index.ts')).openEngineInWorker
  const here = await openEngine(model, options)
  expected = await here.generate(greedy).result
  encoded = here.tokenizer.encode('Call me Ishmael.')
  await here.close()
  engine = await openInWorker(model, options)
}, 60_000)
afterAll(() => engine?.close())

describe('an engine in a thread of Node', () => {
  it('gives the tokens of one in this thread, event by event, and leaves this thread free', async () => {
    let longest = 0
    let last = performance.now()
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }, 5)
    const generation = engine.generate(greedy)
    const prefill: [number, number][] = []
    generation.onPrefill = (done, total) => prefill.push([done, total])
    const tokens: number[] = []
    for await (const { token } of generation) tokens.push(token)
    clearInterval(timer)
    const { timing: _, ...result } = await generation.result
    const { timing: __, ...local } = expected
    expect(result).toEqual(local)
    expect(tokens).toEqual(expected.tokens)
    expect(prefill.at(-1)).toEqual([expected.usage.promptTokens, expected.usage.promptTokens])
    expect(engine.stats()).toMatchObject({ completionTokens: 12, running: 0, finished: { length: 1 } })
    expect(engine.stats().memory.planned).toBe(engine.memory.total)
    // a step of this model takes longer than that, and all of them together much
    expect(longest).toBeLessThan(1000)
  })

  it('has the tokenizer as promises', async () => {
    const { tokenizer } = engine
    expect(await tokenizer.encode('Call me Ishmael.')).toEqual(encoded)
    expect(await tokenizer.decode(encoded)).toBe('Call me Ishmael.')
    expect((await tokenizer.piece(encoded.at(-1) as number)).bytes).toBeInstanceOf(Uint8Array)
    expect(tokenizer.vocabSize).toBeGreaterThan(1000)
    if (!tokenizer.hasChatTemplate)
      await expect(tokenizer.applyChatTemplate([{ role: 'user', content: 'a' }])).rejects.toMatchObject({
        name: 'FoveaError',
        code: 'argument',
        where: 'applyChatTemplate',
      })
  })

  it('brings errors with code and where', async () => {
    const { result } = engine.generate({ ...greedy, maxTokens: 0 })
    await expect(result).rejects.toMatchObject({
      name: 'FoveaError',
      code: 'argument',
      where: 'engine.generate',
      message: expect.stringMatching(/^engine\.generate: maxTokens/),
    })
    await expect(
      engine.generate({ ...greedy, prompt: encoded.concat(Array(300).fill(5)) }).result,
    ).rejects.toMatchObject({
      code: 'capacity',
    })
    expect(() => engine.generate({ ...greedy, stop: [(() => '') as unknown as string] })).toThrow(
      'cannot go to a worker',
    )
    await expect(openInWorker('nowhere.gguf', options)).rejects.toMatchObject({ name: 'FoveaError', code: 'io' })
    const checkpoint = await (await import('../../src/model/index.ts')).openCheckpoint(model)
    await expect(openInWorker(checkpoint, options)).rejects.toMatchObject({ code: 'argument' })
    await checkpoint.close()
  })

  it('is cancelled by the generation, a signal, leaving the iteration, and a listener that throws', async () => {
    const byHand = engine.generate(endless)
    for await (const _ of byHand) byHand.cancel()
    expect((await byHand.result).finishReason).toBe('cancelled')
    const stop = new AbortController()
    const bySignal = engine.generate({ ...endless, signal: stop.signal })
    setTimeout(() => stop.abort(), 20)
    expect((await bySignal.result).finishReason).toBe('cancelled')
    expect(() => engine.generate({ ...endless, signal: stop.signal })).toThrow('aborted before')
    const left = engine.generate(endless)
    for await (const _ of left) break
    expect((await left.result).finishReason).toBe('cancelled')
    const failing = engine.generate(endless)
    failing.onPrefill = () => {
      throw new RangeError('mine')
    }
    await expect(failing.result).rejects.toThrow('mine')
    expect((await engine.generate(greedy).result).tokens).toEqual(expected.tokens)
  })

  it('opens sources of bytes that stay here', async () => {
    let read = 0
    let closed = 0
    const bytes = bytesSource('held.gguf', await readFile(model))
    const source = {
      ...bytes,
      read: (offset: number, length: number) => {
        read += length
        return bytes.read(offset, length)
      },
      close: async () => void closed++,
    }
    const own = await openInWorker({ 'held.gguf': source }, { ...options, name: 'mine' })
    expect(own.name).toBe('mine')
    expect((await own.generate(greedy).result).tokens).toEqual(expected.tokens)
    expect(read).toBeGreaterThan(16_000_000)
    const running = own.generate(endless)
    await own.close()
    expect((await running.result).finishReason).toBe('cancelled')
    await expect.poll(() => closed).toBe(1)
    expect(() => own.generate(greedy)).toThrow('the engine was closed')
    await expect(own.tokenizer.encode('a')).rejects.toMatchObject({ code: 'disposed' })
    await own.close()
  })

  it('gives up an opening that is aborted', async () => {
    const stop = new AbortController()
    const never = {
      ...bytesSource('slow.gguf', new Uint8Array(64)),
      read: () => new Promise<never>(() => stop.abort()),
    }
    // the signal ends downloads; this source is the caller's own, and ends when it says so
    const opened = openInWorker('hf:a/b', { ...options, hubUrl: 'http://127.0.0.1:9', signal: stop.signal })
    stop.abort()
    await expect(opened).rejects.toMatchObject({ code: 'cancelled' })
    await expect(openInWorker(never, { ...options, signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' })
  })
})
