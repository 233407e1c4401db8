import type { PageCache } from '../cache/page-cache.ts'
import type { DecoderRunner } from '../model/decoder-runner.ts'
import { FoveaError } from '../tile/index.ts'
import type { ActiveSequence } from './active-sequence.ts'
import type { Drafter } from './drafts/drafter.ts'
import type { FinishReason } from './generation.ts'
import { entryTokens, type Schedule, type StepEntry, scheduleStep, stepInput } from './schedule-step.ts'
import { isPenalised, type TokenSampler } from './token-sampler.ts'

/** What the loop works with. */
export interface EngineParts {
  readonly runner: DecoderRunner
  readonly cache: PageCache
  readonly sampler: TokenSampler
  readonly endTokens: ReadonlySet<number>
  readonly maxSequences: number
  readonly drafter: Drafter | null
}

/** Counts since the engine opened. */
export interface EngineCounts {
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  steps: number
  draftTokens: number
  acceptedTokens: number
  readonly finished: { stop: number; length: number; cancelled: number; failed: number }
}

/**
 * Continuous batching (Yu et al., Orca, 2022): sequences join and leave between steps. One loop runs while there is work. A
 * sequence that finds no page makes the youngest give up its own and wait; what it had computed stays in the cache while
 * nobody needs the room, and its tokens do not change, because each is drawn by its position.
 */
export class EngineLoop {
  readonly counts: EngineCounts = {
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    steps: 0,
    draftTokens: 0,
    acceptedTokens: 0,
    finished: { stop: 0, length: 0, cancelled: 0, failed: 0 },
  }
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
    this.#turning ??= this.#turn().finally(() => {
      this.#turning = null
    })
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
        for (const sequence of this.#running.filter(({ cancelled }) => cancelled)) this.#finish(sequence, 'cancelled')
        this.#admit()
        if (this.#running.length > 0) await this.#step()
      } catch (error) {
        this.#failAll(error)
      }
    }
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

  async #step(): Promise<void> {
    const { runner, cache, sampler } = this.#parts
    // somebody may have computed the same beginning meanwhile
    for (const { pages, tokens, remaining } of this.#running)
      if (pages && remaining > 1) pages.adopt(tokens.slice(pages.length))
    const schedule = this.#reserve(
      scheduleStep(this.#running, await this.#drafts(), {
        tokens: runner.limits.tokens,
        decodeQueries: runner.limits.decodeQueries,
      }),
    )
    const entries = [...schedule.prefill, ...schedule.decode]
    if (entries.length === 0) return
    const input = stepInput(schedule)
    cache.flush()
    const asked = entries.flatMap((entry) => rowsOf(entry))
    sampler.place(asked)
    runner.run(input, asked.length > 0 ? sampler : null)
    // what is written need not be waited for; of a draft only what is accepted counts as written
    for (const entry of entries)
      entry.sequence.pages?.append(entryTokens(entry).slice(0, entry.count - entry.draft.length))
    this.counts.steps++
    if (asked.length === 0) await runner.device.sync()
    const sampled = asked.length > 0 ? await sampler.read(asked) : []
    let at = 0
    for (const entry of entries) {
      this.#take(entry, sampled.slice(at, at + entry.rows))
      at += entry.rows
    }
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

  /** Takes the pages that a step writes, the oldest sequences first; leaves out what finds none. */
  #reserve(schedule: Schedule): Schedule {
    const kept = new Set<StepEntry>()
    const entries = [...schedule.decode, ...schedule.prefill]
    entries.sort((a, b) => this.#running.indexOf(a.sequence) - this.#running.indexOf(b.sequence))
    for (const entry of entries) {
      const { sequence, count } = entry
      while (sequence.pages)
        try {
          sequence.pages.reserve(count)
          kept.add(entry)
          break
        } catch (error) {
          if (!(error instanceof FoveaError && error.code === 'capacity')) throw error
          const youngest = this.#running.at(-1)
          if (!youngest || (youngest === sequence && this.#running.length === 1)) throw error
          this.#giveUp(youngest)
        }
    }
    const stays = (entry: StepEntry) => kept.has(entry) && entry.sequence.pages !== null
    return { prefill: schedule.prefill.filter(stays), decode: schedule.decode.filter(stays) }
  }

  /** A running sequence waits again, at the head of the queue. */
  #giveUp(sequence: ActiveSequence): void {
    this.#release(sequence)
    this.#waiting.unshift(sequence)
  }

  /** Hands a sequence the tokens that its rows gave: of a draft as many as it foresaw, and the one after them. */
  #take({ sequence, draft, count, from }: StepEntry, sampled: readonly SampledToken[]): void {
    if (sampled.length === 0) {
      sequence.stream.onPrefill?.(
        Math.min(from + count, sequence.request.prompt.length),
        sequence.request.prompt.length,
      )
      return
    }
    if (sequence.firstTokenAt === null)
      sequence.stream.onPrefill?.(sequence.request.prompt.length, sequence.request.prompt.length)
    this.counts.draftTokens += draft.length
    for (const [i, { token, logprob }] of sampled.entries()) {
      if (i > 0) {
        if (sequence.tokens.at(-1) !== draft[i - 1]) break
        sequence.pages?.append([draft[i - 1] as number])
        this.counts.acceptedTokens++
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

  #finish(sequence: ActiveSequence, reason: FinishReason): void {
    this.#release(sequence)
    this.counts.finished[reason]++
    sequence.finish(reason)
  }

  #failAll(error: unknown): void {
    for (const sequence of [...this.#running, ...this.#waiting.splice(0)]) {
      this.#release(sequence)
      this.counts.finished.failed++
      sequence.stream.fail(error)
    }
  }

  #release(sequence: ActiveSequence): void {
    this.#running = this.#running.filter((other) => other !== sequence)
    if (!sequence.pages) return
    this.#parts.drafter?.forget(sequence)
    sequence.pages.close()
    sequence.pages = null
  }
}

type SampledToken = Awaited<ReturnType<TokenSampler['read']>>[number]

/** The sequence and the position of the token to come of each row that a share asks for. */
function rowsOf({ sequence, from, count, rows }: StepEntry) {
  return Array.from({ length: rows }, (_, i) => ({ sequence, position: from + count - rows + i + 1 }))
}
