import type { CachedSequence } from '../../cache/cached-sequence.ts'
import type { Tensor } from '../../device/device.ts'
import type { Checkpoint } from '../../model/checkpoint.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import { sample, sampleChunks } from '../../nn/sample.ts'
import { settingsRow, settingsWidth } from '../../nn/sampling/sampling-settings.ts'
import { FoveaError } from '../../tile/index.ts'
import type { ActiveSequence } from '../active-sequence.ts'
import type { EngineOptions } from '../engine-options.ts'
import { type ModelParts, openParts } from '../open-parts.ts'
import { packStep } from '../pack-step.ts'
import type { Drafter } from './drafter.ts'

/** A sequence in the cache of the draft model. */
interface DraftSequence {
  readonly cached: CachedSequence
  /** tokens of it that are surely those of the sequence */
  agreed: number
}

/** A share of a step of the draft model. */
interface Share {
  readonly cached: CachedSequence
  readonly tokens: readonly number[]
}

/**
 * Proposes what a smaller model with the same vocabulary finds most likely. Its own cache follows each sequence; what the
 * larger model turned down is taken back before the next proposal. Rejects with what `openParts` rejects with, and `argument`
 * for another vocabulary.
 */
export async function openModelDrafter(
  model: ModelSource | Checkpoint,
  spec: { readonly tokens: number; readonly vocabSize: number },
  options: EngineOptions,
): Promise<Drafter> {
  const parts = await openParts(model, { ...options, promptLookup: null, draftModel: null }, 'generate')
  const { vocabSize } = parts.checkpoint.spec
  if (vocabSize !== spec.vocabSize) {
    await parts.release()
    throw new FoveaError(
      'argument',
      'openEngine',
      `draftModel has a vocabulary of ${vocabSize}, the model of ${spec.vocabSize}`,
    )
  }
  return new ModelDrafter(parts, spec.tokens)
}

class ModelDrafter implements Drafter {
  readonly most: number
  readonly bytes: number
  readonly #parts: ModelParts
  readonly #known = new Map<ActiveSequence, DraftSequence>()
  readonly #settings: Tensor
  readonly #seeds: Tensor
  readonly #logprobs: Tensor
  readonly #statistics: Tensor | null

  constructor(parts: ModelParts, most: number) {
    const { device, runner } = parts
    const { rows } = runner.limits
    this.most = most
    this.bytes = parts.plan.memory.total
    this.#parts = parts
    const greedy = settingsRow({ temperature: 0 })
    this.#settings = device.tensor(
      Float32Array.from({ length: rows * settingsWidth }, (_, i) => greedy[i % settingsWidth] as number),
      [rows, settingsWidth],
    )
    this.#seeds = device.zeros([rows, 2], 'u32')
    this.#logprobs = device.zeros([rows])
    const chunks = sampleChunks(device.kind, parts.checkpoint.spec.vocabSize)
    this.#statistics = chunks > 0 ? device.zeros([rows, 4, chunks]) : null
  }

  async propose(
    sequences: readonly { readonly sequence: ActiveSequence; readonly room: number }[],
  ): Promise<readonly (readonly number[])[]> {
    const drafts = sequences.map(() => [] as number[])
    let live = sequences.flatMap(({ sequence, room }, i) => {
      const draft = room > 0 ? this.#follow(sequence) : null
      return draft
        ? [{ i, draft, room: Math.min(room, this.most), next: sequence.tokens.slice(draft.cached.length) }]
        : []
    })
    while (live.length > 0) {
      const tokens = await this.#step(live.map(({ draft, next }) => ({ cached: draft.cached, tokens: next })))
      live = live.filter((entry, at) => {
        const token = tokens[at] as number | null
        // a long text takes several steps before it gives a token
        if (token === null) entry.next = (sequences[entry.i]?.sequence.tokens ?? []).slice(entry.draft.cached.length)
        else {
          drafts[entry.i]?.push(token)
          entry.next = [token]
        }
        return (drafts[entry.i]?.length ?? 0) < entry.room
      })
    }
    return drafts
  }

  forget(sequence: ActiveSequence): void {
    this.#known.get(sequence)?.cached.close()
    this.#known.delete(sequence)
  }

  async release(): Promise<void> {
    for (const sequence of [...this.#known.keys()]) this.forget(sequence)
    for (const tensor of [this.#settings, this.#seeds, this.#logprobs]) tensor.dispose()
    this.#statistics?.dispose()
    await this.#parts.release()
  }

  /** The sequence in the draft model's cache, without what the model turned down; at least its last token is to compute. */
  #follow(sequence: ActiveSequence): DraftSequence {
    const { tokens } = sequence
    const known = this.#known.get(sequence)
    if (!known) {
      const cached = this.#parts.cache.open(tokens)
      const opened = { cached, agreed: cached.length }
      this.#known.set(sequence, opened)
      return opened
    }
    const { cached } = known
    const written = cached.tokens
    let agreed = known.agreed
    while (agreed < Math.min(written.length, tokens.length - 1) && written[agreed] === tokens[agreed]) agreed++
    if (agreed < cached.length) cached.truncate(agreed)
    known.agreed = agreed
    return known
  }

  /** Runs a step; gives the most likely next token of each share, null where tokens of it remain. */
  async #step(shares: readonly Share[]): Promise<readonly (number | null)[]> {
    const { runner, cache, device } = this.#parts
    let left = runner.limits.tokens
    const placed = shares.map(({ cached, tokens }) => {
      const count = Math.min(tokens.length, left)
      left -= count
      cached.reserve(count)
      return { cached, tokens: tokens.slice(0, count), count, rows: count === tokens.length ? 1 : 0 }
    })
    cache.flush()
    const prefill = placed.filter(({ count }) => count > 1)
    const decode = placed.filter(({ count }) => count === 1)
    const input = packStep(prefill, decode)
    runner.run(input, { key: 'draft', enqueue: (logits) => this.#enqueue(logits) })
    for (const { cached, tokens } of placed) cached.append(tokens)
    const asked = [...prefill, ...decode].filter(({ rows }) => rows > 0)
    const drawn = runner.ids.slice(0, 0, asked.length)
    if (asked.length === 0) await device.sync()
    const values = asked.length > 0 ? await drawn.read() : []
    drawn.dispose()
    const tokenOf = new Map(asked.map((share, i) => [share, values[i] as number]))
    return placed.map((share) => tokenOf.get(share) ?? null)
  }

  #enqueue(logits: Tensor): void {
    const rows = logits.shape[0] as number
    const views = [this.#settings, this.#seeds, this.#parts.runner.ids, this.#logprobs].map((tensor) =>
      tensor.slice(0, 0, rows),
    )
    const [settings, seeds, ids, logprobs] = views as [Tensor, Tensor, Tensor, Tensor]
    const statistics = this.#statistics?.slice(0, 0, rows)
    const output = { ids, logprobs }
    sample(this.#parts.device, { logits, settings, seeds, output, ...(statistics && { statistics }) })
    for (const view of views) view.dispose()
    statistics?.dispose()
  }
}
