import type { Generation, GenerationEvent, GenerationResult } from './generation.ts'

type Step = IteratorResult<GenerationEvent, void>

/** A call of `next` that no event has come for yet. */
interface Reader {
  readonly resolve: (step: Step) => void
  readonly reject: (error: unknown) => void
}

/** A `Generation` as the engine feeds it: events are kept until they are read, each by one of those who iterate. */
export class GenerationStream implements Generation {
  readonly id: number
  readonly result: Promise<GenerationResult>
  onPrefill: ((done: number, total: number) => void) | null = null
  readonly #events: GenerationEvent[] = []
  readonly #onCancel: () => void
  /** in the order in which they asked; there are none while events are kept */
  #readers: Reader[] = []
  #settle!: { readonly resolve: (result: GenerationResult) => void; readonly reject: (error: unknown) => void }
  #ended = false
  #failure: { readonly error: unknown } | null = null

  constructor(id: number, onCancel: () => void) {
    this.id = id
    this.#onCancel = onCancel
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // whoever only iterates meets the error there
    this.result.catch(() => {})
  }

  cancel(): void {
    if (!this.#ended) this.#onCancel()
  }

  push(event: GenerationEvent): void {
    const reader = this.#readers.shift()
    if (reader) reader.resolve({ done: false, value: event })
    else this.#events.push(event)
  }

  end(result: GenerationResult): void {
    this.#ended = true
    this.#settle.resolve(result)
    for (const { resolve } of this.#readers.splice(0)) resolve(over)
  }

  fail(error: unknown): void {
    this.#ended = true
    this.#failure = { error }
    this.#settle.reject(error)
    for (const { reject } of this.#readers.splice(0)) reject(error)
  }

  /** Leaving an iterator early cancels the generation at once, also while a `next` of it waits: nobody reads on. */
  [Symbol.asyncIterator](): AsyncIterableIterator<GenerationEvent> {
    let left = false
    const mine = new Set<Reader>()
    const next = async (): Promise<Step> => {
      if (left) return over
      const event = this.#events.shift()
      if (event) return { done: false, value: event }
      if (this.#failure) {
        // once, as a generator would
        left = true
        throw this.#failure.error
      }
      if (this.#ended) return over
      let reader: Reader | null = null
      try {
        return await new Promise<Step>((resolve, reject) => {
          reader = { resolve, reject }
          mine.add(reader)
          this.#readers.push(reader)
        })
      } catch (error) {
        left = true
        throw error
      } finally {
        if (reader) mine.delete(reader)
      }
    }
    return {
      [Symbol.asyncIterator]() {
        return this
      },
      next,
      return: async () => {
        left = true
        this.#readers = this.#readers.filter((reader) => !mine.has(reader))
        for (const { resolve } of mine) resolve(over)
        this.cancel()
        return over
      },
    }
  }
}

const over: Step = { done: true, value: undefined }
