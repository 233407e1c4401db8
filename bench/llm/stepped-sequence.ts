import type { CachedSequence } from '../../src/cache/cached-sequence.ts'
import type { Tensor } from '../../src/device/index.ts'
import type { ModelParts } from '../../src/llm/open-parts.ts'
import type { StepTail } from '../../src/model/decoder-runner.ts'
import { sample, sampleChunks } from '../../src/nn/sample.ts'
import { settingsRow, settingsWidth } from '../../src/nn/sampling/sampling-settings.ts'

/** One sequence that is stepped by hand, greedily, with no engine around it: what a step costs and what it is made of. */
export class SteppedSequence {
  readonly parts: ModelParts
  readonly #cached: CachedSequence
  readonly #settings: Tensor
  readonly #seeds: Tensor
  readonly #logprobs: Tensor
  readonly #statistics: Tensor | null
  readonly #enqueueDraw: StepTail['enqueue']

  constructor(parts: ModelParts) {
    const { device, runner } = parts
    this.parts = parts
    this.#cached = parts.cache.open([])
    this.#settings = device.tensor(Float32Array.from(settingsRow({ temperature: 0 })), [1, settingsWidth])
    this.#seeds = device.zeros([1, 2], 'u32')
    this.#logprobs = device.zeros([1])
    const chunks = sampleChunks(device.kind, runner.weights.spec.vocabSize)
    this.#statistics = chunks > 0 ? device.zeros([1, 4, chunks]) : null
    this.#enqueueDraw = (logits) => {
      const ids = runner.ids.slice(0, 0, 1)
      const output = { ids, logprobs: this.#logprobs }
      const statistics = this.#statistics ? { statistics: this.#statistics } : {}
      sample(device, { logits, settings: this.#settings, seeds: this.#seeds, output, ...statistics })
      ids.dispose()
    }
  }

  get length(): number {
    return this.#cached.length
  }

  /**
   * Enqueues a step of these tokens, or of the one that the step before drew (null), and draws the next if asked to. Steps of
   * one shape and `key` share a recording.
   */
  step(tokens: readonly number[] | null, draws: boolean, key = 'stepped'): void {
    const { runner, cache } = this.parts
    const count = tokens?.length ?? 1
    const from = this.#cached.length
    this.#cached.reserve(count)
    const slots = this.#cached.slots(from, from + count)
    cache.flush()
    const share = [{ row: this.#cached.row, qBase: 0, qLength: count, kLength: from + count }]
    const positions = Array.from({ length: count }, (_, i) => from + i)
    const [prefill, decode] = count > 1 ? [share, []] : [[], share]
    const rows = draws ? [count - 1] : []
    runner.run(
      { ids: tokens, positions, slots, prefill, decode, rows },
      draws ? { key, enqueue: this.#enqueueDraw } : null,
    )
    // which token was drawn makes no difference to a cache that shares nothing
    this.#cached.append(tokens ?? [0])
  }

  /** The token that the step enqueued last drew. */
  async drawn(): Promise<number> {
    const ids = this.parts.runner.ids.slice(0, 0, 1)
    const [token] = await ids.read()
    ids.dispose()
    return token as number
  }

  /** Forgets the tokens from `length` on. */
  truncate(length: number): void {
    this.#cached.truncate(length)
  }

  /** Enqueues steps of `chunk` tokens each; the last one draws. */
  prefill(tokens: readonly number[], chunk: number): void {
    for (let from = 0; from < tokens.length; from += chunk) {
      const part = tokens.slice(from, from + chunk)
      this.step(part, from + part.length === tokens.length)
    }
  }

  dispose(): void {
    this.#cached.close({ keep: false })
    for (const tensor of [this.#settings, this.#seeds, this.#logprobs]) tensor.dispose()
  }
}
