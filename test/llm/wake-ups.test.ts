import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import type { GenerateRequest, Generation } from '../../src/llm/generation.ts'
import type { LocalEngine } from '../../src/llm/local-engine.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { TokenSampler } from '../../src/llm/token-sampler.ts'
import { DecoderRunner } from '../../src/model/decoder-runner.ts'

const model = new URL('../../models/books-recall-16m.gguf', import.meta.url).pathname

let device: Device
let engine: LocalEngine
let wanted: readonly number[]
const open = () => openEngine(model, { device, contextLength: 64, pageSize: 16, maxSequences: 2, maxQueue: 100 })
beforeAll(async () => {
  device = await openDevice('wasm')
  engine = await open()
  wanted = (await start().result).tokens
})
afterEach(() => {
  vi.restoreAllMocks()
})
afterAll(async () => {
  await engine.close()
  device.dispose()
})

const start = (request: Partial<GenerateRequest> = {}) =>
  engine.generate({ prompt: 'Call me', maxTokens: 2, sampling: { temperature: 0 }, ...request })

/** A promise that says what hung instead of hanging. */
function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within 5 s`)), 5000)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

const microtasks = async (count: number) => {
  // the caller's own await is the last of them
  for (let i = 1; i < count; i++) await null
}
const macrotasks = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
const failure = new Error('the device gave up')

/** How a generation may come to its end; each resolves in the microtask in which its caller learns of it. */
const endings: readonly [string, () => Promise<unknown>][] = [
  ['ended', () => start().result],
  [
    'was read to its end',
    async () => {
      for await (const _ of start());
    },
  ],
  [
    'was cancelled while it ran',
    async () => {
      const generation = start({ maxTokens: 40, ignoreEos: true })
      await generation[Symbol.asyncIterator]().next()
      generation.cancel()
      return generation.result
    },
  ],
  [
    'was cancelled before it began',
    () => {
      const generation = start()
      generation.cancel()
      return generation.result
    },
  ],
  [
    'was left by its reader',
    async () => {
      const generation = start({ maxTokens: 40, ignoreEos: true })
      for await (const _ of generation) break
      return generation.result
    },
  ],
  [
    'was aborted',
    async () => {
      const controller = new AbortController()
      const generation = start({ maxTokens: 40, ignoreEos: true, signal: controller.signal })
      await generation[Symbol.asyncIterator]().next()
      controller.abort()
      return generation.result
    },
  ],
  [
    'failed as its step was enqueued',
    () => {
      vi.spyOn(DecoderRunner.prototype, 'run').mockImplementationOnce(() => {
        throw failure
      })
      return start().result.catch((error) => expect(error).toBe(failure))
    },
  ],
  [
    'failed as its tokens were read',
    () => {
      vi.spyOn(TokenSampler.prototype, 'read').mockRejectedValueOnce(failure)
      return start().result.catch((error) => expect(error).toBe(failure))
    },
  ],
  [
    'failed in its listener',
    () => {
      const generation = start()
      generation.onPrefill = () => {
        throw failure
      }
      return generation.result.catch((error) => expect(error).toBe(failure))
    },
  ],
]

describe.each(endings)('a request after another %s', (_ending, end) => {
  it.each([
    ['microtask', microtasks, 20],
    ['macrotask', macrotasks, 5],
  ] as const)('is answered, in whichever %s it comes', async (name, pass, most) => {
    for (let after = 0; after < most; after++) {
      // nothing between the end and the request but what is counted
      const asked = end().then(async () => {
        if (after > 0) await pass(after)
        return start().result
      })
      const { tokens } = await soon(`a request ${after} ${name}s after`, asked)
      expect(tokens).toEqual(wanted)
    }
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, pages: { used: 0 } })
  })
})

describe('wake-ups', () => {
  it('reach everyone of many who ask again in a row, and all at once', async () => {
    const ask = async () => (await start().result).tokens
    for (let round = 0; round < 4; round++) expect(await soon(`round ${round}`, ask())).toEqual(wanted)
    for (let round = 0; round < 4; round++)
      expect(await soon(`round ${round} of five`, Promise.all([1, 2, 3, 4, 5].map(ask)))).toEqual(
        new Array(5).fill(wanted),
      )
    const chains = [0, 1, 2, 3].map(async (late) => {
      for (let i = 0; i < 4; i++) {
        await microtasks(late * i)
        expect(await ask()).toEqual(wanted)
      }
    })
    await soon('four chains', Promise.all(chains))
  })

  it('reach who closes, whenever what runs ends, and who then asks is refused', async () => {
    for (const after of [0, 1, 2, 3, 5]) {
      const other = await open()
      const ask = () => other.generate({ prompt: 'Call me', maxTokens: 1 })
      await ask().result
      await microtasks(after)
      const last = ask()
      const closed = other.close({ drain: true })
      expect(ask).toThrow(/the engine was closed/)
      expect((await soon('the last one', last.result)).tokens).toHaveLength(1)
      await soon(`closing ${after} microtasks after the end`, closed)
    }
  })

  it('reach who drains an engine and then cannot wait', async () => {
    const other = await open()
    const long = other.generate({ prompt: 'Call me', maxTokens: 60, ignoreEos: true })
    const closed = other.close({ drain: true })
    await long[Symbol.asyncIterator]().next()
    void other.close()
    expect((await soon('what is cancelled', long.result)).finishReason).toBe('cancelled')
    await soon('closing', closed)
  })

  it('reach each of two who read one generation', async () => {
    const read = async (generation: Generation) => {
      const tokens: number[] = []
      for await (const { token } of generation) tokens.push(token)
      return tokens
    }
    const generation = start({ maxTokens: 9, ignoreEos: true })
    const shares = await soon('two readers', Promise.all([read(generation), read(generation)]))
    expect(shares.flat().sort()).toEqual([...(await generation.result).tokens].sort())
    expect(shares.every((share) => share.length > 0)).toBe(true)
    // and what fails them
    vi.spyOn(TokenSampler.prototype, 'read').mockRejectedValueOnce(failure)
    const failing = start()
    const ends = [read(failing), read(failing), failing.result].map((end) => end.catch((error: unknown) => error))
    expect(await soon('three who wait for a failure', Promise.all(ends))).toEqual([failure, failure, failure])
  })

  it('reach a reader whose iterator is left while it waits', async () => {
    const generation = start({ maxTokens: 60, ignoreEos: true })
    const iterator = generation[Symbol.asyncIterator]()
    const waiting = iterator.next()
    await soon('leaving', Promise.resolve(iterator.return?.()))
    expect(await soon('the reader', waiting)).toMatchObject({ done: true })
    const { finishReason, tokens } = await generation.result
    expect([finishReason, tokens]).toEqual(['cancelled', []])
  })
})

describe('what a failed step left unwritten', () => {
  it('is not found by later requests that begin alike', async () => {
    const prompt =
      'It was a bright cold day in the harbour, and the old captain stood upon the quay, looking at the water.'
    vi.spyOn(DecoderRunner.prototype, 'run').mockImplementationOnce(() => {})
    vi.spyOn(TokenSampler.prototype, 'read').mockRejectedValueOnce(failure)
    await expect(start({ prompt }).result).rejects.toBe(failure)
    const after = await start({ prompt, maxTokens: 8 }).result
    expect(after.usage.cachedTokens).toBe(0)
    const other = await open()
    const fresh = await other.generate({ prompt, maxTokens: 8, sampling: { temperature: 0 } }).result
    await other.close()
    expect(after.tokens).toEqual(fresh.tokens)
  })
})
