import type { PageCache } from '../cache/page-cache.ts'
import type { DecoderRunner } from '../model/decoder-runner.ts'
import { FoveaError } from '../tile/index.ts'
import type { ActiveSequence } from './active-sequence.ts'
import type { Drafter } from './drafts/drafter.ts'
import { engineCounts } from './engine-counts.ts'
import type { FinishReason } from './generation.ts'
import { reservePages } from './reserve-pages.ts'
import { entryRows, entryTokens, type StepEntry, scheduleStep, stepInput } from './schedule-step.ts'
import { isPenalised, type SampledToken, type TokenSampler } from './token-sampler.ts'

/** What the loop works with. */
export interface EngineParts {
  readonly runner: DecoderRunner
  readonly cache: PageCache
  readonly sampler: TokenSampler
  readonly endTokens: ReadonlySet<number>
  readonly maxSequences: number
  readonly drafter: Drafter | null
}

/**
 * Continuous batching (Yu et al., Orca, 2022): sequences join and leave between steps. One loop runs while there is work. A
 * sequence that finds no page makes the youngest give up its own and wait; what it had computed stays in the cache while
 * nobody needs the room, and its tokens do not change, because each is drawn by its position.
 */
export class EngineLoop {
  readonly counts = engineCounts()
  readonly #parts: EngineParts
  readonly #waiting: ActiveSequence[] = []
  /** in the order in which they were admitted */
  #running: ActiveSequence[] = []
  #turning: Promise<void> | null = null

  constructor(parts: EngineParts) {
    this.#parts = parts
  }

  get waiting(): number {
    return this.#waiting.length
  }
  get running(): number {
    return this.#running.length
  }

  add(sequence: ActiveSequence): void {
    this.#waiting.push(sequence)
    this.#turning ??= this.#turn()
  }

  cancel(sequence: ActiveSequence): void {
    sequence.cancelled = true
    // one that waits need not wait for its turn
    const at = this.#waiting.indexOf(sequence)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    this.#finish(sequence, 'cancelled')
  }

  cancelAll(): void {
    for (const sequence of [...this.#waiting, ...this.#running]) this.cancel(sequence)
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#turning) await this.#turning
  }

  async #turn(): Promise<void> {
    // whoever calls `generate` several times at once is served together
    await Promise.resolve()
    while (this.#waiting.length + this.#running.length > 0) {
      try {
        this.#endCancelled()
        this.#admit()
        if (this.#running.length > 0) await this.#step()
      } catch (error) {
        this.#failAll(error)
      }
    }
    // in one breath with the last look at who waits: who comes in any later microtask begins the next turn
    this.#turning = null
  }

  #endCancelled(): void {
    const cancelled = (sequence: ActiveSequence) => sequence.cancelled
    for (const sequence of this.#running.filter(cancelled)) this.#finish(sequence, 'cancelled')
    // one that gave up its pages after it was cancelled waits for nothing
    for (const sequence of this.#waiting.filter(cancelled)) this.cancel(sequence)
  }

  /** Lets waiting sequences in, the oldest first, while rows and pages last. */
  #admit(): void {
    const { cache, maxSequences } = this.#parts
    while (this.#running.length < maxSequences) {
      const [next] = this.#waiting
      if (!next) return
      const needed = Math.ceil(next.tokens.length / cache.pageSize)
      if (this.#running.length > 0 && cache.available < needed) return
      this.#waiting.shift()
      const pages = cache.open(next.tokens)
      next.pages = pages
      if (next.startedAt === null) {
        next.startedAt = performance.now()
        next.cachedTokens = pages.length
        this.counts.promptTokens += next.request.prompt.length
        this.counts.cachedTokens += pages.length
      }
      this.#running.push(next)
      this.#parts.sampler.begin(next)
    }
  }

  /** A step, and those that can follow it at once. */
  async #step(): Promise<void> {
    let step = await this.#begin()
    while (step) {
      const next = this.#beginAhead(step)
      const sampled = await step.sampled
      let at = 0
      for (const entry of step.entries) {
        // one that ended meanwhile was computed once too often
        if (entry.sequence.pages) this.#take(entry, sampled.slice(at, at + entry.rows))
        at += entry.rows
      }
      for (const { sequence } of next?.entries ?? []) sequence.pages?.append([sequence.tokens.at(-1) as number])
      step = next
    }
  }

  async #begin(): Promise<StepUnderWay | null> {
    const { runner, cache, sampler } = this.#parts
    // somebody may have computed the same beginning meanwhile
    for (const { pages, tokens, remaining } of this.#running)
      if (pages && remaining > 1) pages.adopt(tokens.slice(pages.length))
    const planned = scheduleStep(this.#running, await this.#drafts(), {
      tokens: runner.limits.tokens,
      decodeQueries: runner.limits.decodeQueries,
    })
    const schedule = reservePages(planned, {
      running: () => this.#running,
      giveUp: (sequence) => this.#giveUp(sequence),
      fail: (sequence, error) => this.#fail(sequence, error),
    })
    const entries = [...schedule.prefill, ...schedule.decode]
    if (entries.length === 0) {
      await runner.device.sync()
      return null
    }
    const input = stepInput(schedule)
    const asked = entries.flatMap((entry) => entryRows(entry))
    cache.flush()
    sampler.place(asked)
    runner.run(input, asked.length > 0 ? sampler : null)
    // what is written need not be waited for; of a draft only what is accepted counts as written
    for (const entry of entries)
      entry.sequence.pages?.append(entryTokens(entry).slice(0, entry.count - entry.draft.length))
    this.counts.steps++
    const sampled = asked.length > 0 ? sampler.read(asked) : runner.device.sync().then(() => [])
    return { entries, sampled: handled(sampled) }
  }

  /**
   * Where the host would only wait for a GPU: the step after one of plain decoding, begun before its tokens are known here,
   * since the device has them. Null where anything else may have to come next.
   */
  #beginAhead({ entries }: StepUnderWay): StepUnderWay | null {
    const { runner, cache, sampler, drafter, maxSequences } = this.#parts
    const goesOn = ({ sequence, rows, count }: StepEntry) => {
      const { request, tokens, cancelled, pages } = sequence
      const room = request.prompt.length + request.maxTokens - tokens.length
      return pages !== null && !cancelled && rows === 1 && count === 1 && room > 1 && !isPenalised(request.sampling)
    }
    const admits = this.#waiting.length > 0 && this.#running.length < maxSequences
    if (runner.device.kind !== 'webgpu' || drafter || admits) return null
    if (entries.length !== this.#running.length || !entries.every(goesOn)) return null
    try {
      for (const { sequence } of entries) sequence.pages?.reserve(1)
    } catch (error) {
      if (error instanceof FoveaError && error.code === 'capacity') return null
      throw error
    }
    const next = entries.map(({ sequence }) => ({
      sequence,
      from: sequence.tokens.length,
      count: 1,
      draft: [],
      rows: 1,
    }))
    const asked = next.flatMap((entry) => entryRows(entry))
    cache.flush()
    sampler.place(asked)
    runner.run({ ...stepInput({ prefill: [], decode: next }), ids: null }, sampler)
    this.counts.steps++
    return { entries: next, sampled: handled(sampler.read(asked)) }
  }

  /** Proposals for the sequences that decode, none longer than what may still follow the token after it. */
  async #drafts(): Promise<ReadonlyMap<ActiveSequence, readonly number[]>> {
    const { drafter } = this.#parts
    if (!drafter) return new Map()
    const asked = this.#running.flatMap((sequence) => {
      const { request, tokens, remaining } = sequence
      // penalties change from token to token of a draft
      if (remaining !== 1 || isPenalised(request.sampling)) return []
      return [{ sequence, room: request.prompt.length + request.maxTokens - tokens.length - 1 }]
    })
    const drafts = await drafter.propose(asked)
    return new Map(asked.map(({ sequence }, i) => [sequence, drafts[i] ?? []]))
  }

  /** A running sequence waits again, at the head of the queue. */
  #giveUp(sequence: ActiveSequence): void {
    this.#release(sequence)
    this.#waiting.unshift(sequence)
  }

  /** Hands a sequence the tokens that its rows gave: of a draft as many as it foresaw, and the one after them. */
  #take({ sequence, draft, count, from }: StepEntry, sampled: readonly SampledToken[]): void {
    if (sampled.length === 0) {
      this.#tellPrefill(sequence, from + count)
      return
    }
    if (sequence.firstTokenAt === null && !this.#tellPrefill(sequence, sequence.request.prompt.length)) return
    this.counts.draftTokens += draft.length
    for (const [i, { token, logprob }] of sampled.entries()) {
      if (i > 0) {
        if (sequence.tokens.at(-1) !== draft[i - 1]) break
        sequence.pages?.append([draft[i - 1] as number])
        this.counts.acceptedTokens++
      }
      if (token < 0) {
        const at = sequence.tokens.length
        this.#fail(sequence, new FoveaError('device', 'engine.step', `the logits of token ${at} are not numbers`))
        return
      }
      const ends = !sequence.request.ignoreEos && this.#parts.endTokens.has(token)
      this.counts.completionTokens++
      const reason = sequence.cancelled ? 'cancelled' : sequence.accept(token, logprob, ends)
      if (reason) {
        this.#finish(sequence, reason)
        return
      }
    }
  }

  /** Calls the listener of a generation; false when it threw, which is the end of this generation and of no other. */
  #tellPrefill(sequence: ActiveSequence, done: number): boolean {
    const total = sequence.request.prompt.length
    try {
      sequence.stream.onPrefill?.(Math.min(done, total), total)
      return true
    } catch (error) {
      this.#fail(sequence, error)
      return false
    }
  }

  #finish(sequence: ActiveSequence, reason: FinishReason): void {
    this.#release(sequence)
    this.counts.finished[reason]++
    sequence.finish(reason)
  }

  #failAll(error: unknown): void {
    for (const sequence of [...this.#running, ...this.#waiting.splice(0)]) this.#fail(sequence, error)
  }

  #fail(sequence: ActiveSequence, error: unknown): void {
    // what a failed step should have written is nothing for others to find
    this.#release(sequence, false)
    this.counts.finished.failed++
    sequence.stream.fail(error)
  }

  #release(sequence: ActiveSequence, keep = true): void {
    this.#running = this.#running.filter((other) => other !== sequence)
    if (!sequence.pages) return
    this.#parts.drafter?.forget(sequence)
    sequence.pages.close({ keep })
    sequence.pages = null
  }
}

/** A step that is enqueued, and the tokens to come of the rows that it asks for. */
interface StepUnderWay {
  readonly entries: readonly StepEntry[]
  readonly sampled: Promise<readonly SampledToken[]>
}

/** A promise that is awaited later than it may reject. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
