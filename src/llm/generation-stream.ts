import type { Generation, GenerationEvent, GenerationResult } from './generation.ts'

/** A `Generation` as the engine feeds it: events are kept until they are read. */
export class GenerationStream implements Generation {
  readonly id: number
  readonly result: Promise<GenerationResult>
  onPrefill: ((done: number, total: number) => void) | null = null
  readonly #events: GenerationEvent[] = []
  readonly #onCancel: () => void
  #wake: (() => void) | null = null
  #settle!: { readonly resolve: (result: GenerationResult) => void; readonly reject: (error: unknown) => void }
  #ended = false
  #error: unknown = null

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
    this.#events.push(event)
    this.#notify()
  }

  end(result: GenerationResult): void {
    this.#ended = true
    this.#settle.resolve(result)
    this.#notify()
  }

  fail(error: unknown): void {
    this.#ended = true
    this.#error = error
    this.#settle.reject(error)
    this.#notify()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationEvent, void, void> {
    try {
      for (;;) {
        const event = this.#events.shift()
        if (event) yield event
        else if (this.#error !== null) throw this.#error
        else if (this.#ended) return
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
      }
    } finally {
      // an iterator that is left early: nobody reads on
      this.cancel()
    }
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = null
  }
}
