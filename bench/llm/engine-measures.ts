import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { restorePrefixFile, savePrefixFile } from '../../src/llm/prefix-file.ts'
import { type FoveaPeer, openFovea, together } from './fovea-engine.ts'
import { counted, type LlmRow, round, timesOf } from './llm-row.ts'
import { timeTokens } from './token-times.ts'

/** Prompts and counts of the measurements that only fovea's engine takes part in. */
export interface MeasureSizes {
  /** a document, as long as the longest prompt */
  readonly document: readonly number[]
  /** tokens of a prompt, and of a long one */
  readonly tokens: number
  readonly long: number
  /** tokens of an answer */
  readonly count: number
  readonly rounds: number
}

type Sizes = MeasureSizes & { readonly startBytes: number }
export type EngineMeasure = 'sharing' | 'together' | 'saving' | 'growth' | 'memory' | 'lookup'

export const engineMeasures: Readonly<
  Record<EngineMeasure, (peer: FoveaPeer, sizes: Sizes) => Promise<readonly LlmRow[]>>
> = { sharing, together: decodeTogether, saving, growth, memory, lookup }

/** the name of a row that other systems have too */
export const processMemory = 'peak memory of the process above idle Node'

/** tokens that tell prompts with one beginning apart */
const tail = 16

/** The document's first tokens, and behind them some that only prompt `i` has. */
function branch({ document, tokens }: Sizes, i: number): number[] {
  return [...document.slice(0, tokens), ...document.slice(i + 1, i + 1 + tail)]
}

/** The second request with one beginning, and the pages of several that run at once. */
async function sharing({ engine }: FoveaPeer, sizes: Sizes): Promise<LlmRow[]> {
  const { tokens, count } = sizes
  const first: number[] = []
  const second: number[] = []
  for (let i = 0; i < 2; i++) {
    engine.cache.clear()
    first.push((await timeTokens(engine, { prompt: branch(sizes, 0), maxTokens: 1 })).firstMs)
    second.push((await timeTokens(engine, { prompt: branch(sizes, 1), maxTokens: 1 })).firstMs)
  }
  let used = 0
  const prompts = Array.from({ length: together }, (_, i) => branch(sizes, i))
  const running = prompts.map((prompt) => timeTokens(engine, { prompt, maxTokens: count }))
  const watch = setInterval(() => {
    used = Math.max(used, engine.stats().pages.used)
  }, 1)
  await Promise.all(running).finally(() => clearInterval(watch))
  const { pageSize } = engine.cache
  const shared = Math.floor(tokens / pageSize)
  const own = Math.ceil((tokens + tail + count) / pageSize) - shared
  const times = timesOf(second)
  const value = round(times.medianMs / timesOf(first).medianMs)
  return [
    {
      case: `second request with a beginning of ${counted(tokens)} tokens: time to first token`,
      ...{ unit: 'ms', rate: times.medianMs, ...times },
      ...{ share: { value, of: "the first's" }, bar: { most: 0.05 } },
    },
    {
      case: `pages of ${together} sequences that share ${counted(tokens)} tokens (${shared} and ${own} of each)`,
      ...{ unit: 'pages', rate: used, bar: { most: shared + together * own } },
    },
  ]
}

/** Several sequences with one beginning, decoding together, against one alone; in turn. */
async function decodeTogether({ engine }: FoveaPeer, sizes: Sizes): Promise<LlmRow[]> {
  const { tokens, count, rounds } = sizes
  const alone: number[] = []
  const all: number[] = []
  for (let i = 0; i < rounds; i++) {
    alone.push((await timeTokens(engine, { prompt: branch(sizes, 0), maxTokens: count })).msPerToken)
    const running = Array.from({ length: together }, (_, j) =>
      timeTokens(engine, { prompt: branch(sizes, j), maxTokens: count }),
    )
    const times = await Promise.all(running)
    // from when the last of them began to when the first of them ended
    const from = Math.max(...times.map(({ at }) => at[0] as number))
    const to = Math.min(...times.map(({ at }) => at.at(-1) as number))
    const decoded = times.reduce((sum, { at }) => sum + at.filter((ms) => ms > from && ms <= to).length, 0)
    all.push((to - from) / decoded)
  }
  const times = timesOf(all)
  return [
    {
      case: `${together} sequences decoding together at ${counted(tokens)} shared tokens`,
      ...{ unit: 'tokens/s', rate: round(1000 / times.medianMs), ...times },
      share: { value: round(timesOf(alone).medianMs / times.medianMs), of: 'one alone' },
      bar: { least: 2.5 },
    },
  ]
}

/** A long prefix: computed, saved, forgotten, restored; what follows it must not change. */
async function saving({ engine }: FoveaPeer, { document, long, count }: Sizes): Promise<LlmRow[]> {
  const prefix = document.slice(0, long)
  const request = { prompt: prefix, maxTokens: count }
  const folder = await mkdtemp(join(tmpdir(), 'fovea-bench-'))
  try {
    engine.cache.clear()
    const computed = await timeTokens(engine, request)
    const path = join(folder, 'prefix')
    const begin = performance.now()
    const saved = await savePrefixFile(engine, prefix, path)
    const savedMs = performance.now() - begin
    const times: number[] = []
    for (let i = 0; i < 3; i++) {
      engine.cache.clear()
      const start = performance.now()
      await restorePrefixFile(engine, path)
      times.push(performance.now() - start)
    }
    const restored = await timeTokens(engine, request)
    if (restored.tokens.join() !== computed.tokens.join())
      throw new Error('what follows the restored prefix is not what followed the computed one')
    const { medianMs, ...rest } = timesOf(times)
    const share = (ms: number) => ({ share: { value: round(ms / computed.firstMs), of: 'its prefill' } })
    const name = `${counted(saved.tokens)} tokens (${round(saved.bytes / 1e6)} MB)`
    return [
      {
        case: `prefill of ${counted(long)} tokens, once`,
        unit: 'tokens/s',
        rate: round((1000 * long) / computed.firstMs),
      },
      { case: `save a prefix of ${name}`, unit: 's', rate: round(savedMs / 1000), ...share(savedMs) },
      {
        ...{ case: `restore a prefix of ${name}`, unit: 's', rate: round(medianMs / 1000), medianMs, ...rest },
        ...{ ...share(medianMs), bar: { most: 0.02 } },
      },
    ]
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Decode time at contexts from 1,024 tokens on, beside the bytes that a token has to read: weights, and keys and values. */
async function growth({ engine }: FoveaPeer, { document, long, count, rounds }: Sizes): Promise<LlmRow[]> {
  const contexts: number[] = []
  for (let context = Math.min(1024, long / 4); context < long; context *= 2) contexts.push(context)
  contexts.push(long)
  const times = contexts.map((): number[] => [])
  for (let round = -1; round < rounds; round++)
    for (const [i, context] of contexts.entries()) {
      const { msPerToken } = await timeTokens(engine, { prompt: document.slice(0, context), maxTokens: count })
      if (round >= 0) times[i]?.push(msPerToken)
    }
  const { weights, cache, cacheTokens } = engine.memory
  const bytesAt = (context: number) => Math.round(weights + (context + count / 2) * (cache / cacheTokens))
  const base = { ms: timesOf(times[0] ?? []).medianMs, bytes: bytesAt(contexts[0] as number) }
  return contexts.map((context, i): LlmRow => {
    const spread = timesOf(times[i] ?? [])
    const bytes = bytesAt(context)
    const row = { unit: 'ms/token', rate: spread.medianMs, ...spread, bytes } as const
    const name = `decode time at ${counted(context)} tokens (${round(bytes / 1e6)} MB to read)`
    if (i === 0) return { case: name, ...row }
    const value = round(spread.medianMs / base.ms / (bytes / base.bytes))
    const of = `the growth of the bytes since ${counted(contexts[0] as number)}`
    return { case: name, ...row, share: { value, of }, bar: { most: 1 } }
  })
}

/** What was planned, and what it came to. */
async function memory({ engine, setup }: FoveaPeer, { startBytes }: Sizes): Promise<LlmRow[]> {
  const { peak, planned } = engine.stats().memory
  const resident = process.resourceUsage().maxRSS * 1024 - startBytes
  const row = (name: string, bytes: number): LlmRow => ({
    case: `${name}, context ${counted(setup.contextLength)}`,
    ...{ unit: 'MB', rate: round(bytes / 1e6), share: { value: round(bytes / planned), of: 'the plan' } },
  })
  return [{ ...row('peak memory of the device', peak), bar: { least: 0.95, most: 1.05 } }, row(processMemory, resident)]
}

/** Speculation by look-up on a text that repeats itself, against the same without it. */
async function lookup(
  { engine, setup, wideVectors }: FoveaPeer,
  { document, count, rounds }: Sizes,
): Promise<LlmRow[]> {
  const passage = document.slice(0, 256)
  const request = { prompt: [...passage, ...passage, ...passage, ...passage.slice(0, 64)], maxTokens: 2 * count }
  const small = { ...setup, contextLength: request.prompt.length + request.maxTokens }
  const other = await openFovea(small, wideVectors, { promptLookup: { tokens: 7 }, maxSequences: 1 })
  try {
    const plain: number[] = []
    const drafted: number[] = []
    for (let i = -1; i < rounds; i++) {
      const [without, having] = [await timeTokens(engine, request), await timeTokens(other, request)]
      const differs = without.tokens.findIndex((token, at) => token !== having.tokens[at])
      // sums of other shapes round differently: a near tie may fall otherwise, but not at once
      if (differs >= 0 && differs < count / 2)
        throw new Error(`look-up changes the text at token ${differs} of ${request.maxTokens}`)
      if (i < 0) continue
      plain.push(without.msPerToken)
      drafted.push(having.msPerToken)
    }
    const times = timesOf(drafted)
    const { draftTokens, acceptedTokens } = other.stats()
    return [
      {
        case: `decode with look-up in a text that repeats (${round((100 * acceptedTokens) / draftTokens)} % of drafts right)`,
        ...{ unit: 'tokens/s', rate: round(1000 / times.medianMs), ...times },
        share: { value: round(timesOf(plain).medianMs / times.medianMs), of: 'decode without' },
      },
    ]
  } finally {
    await other.close()
  }
}
