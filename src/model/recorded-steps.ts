import type { Recording } from '../device/device.ts'

/** Recordings by the shape of their step; the least recently used go first. */
export class RecordedSteps {
  readonly #limit: number
  readonly #steps = new Map<string, Recording>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: string): Recording | undefined {
    const step = this.#steps.get(key)
    if (!step) return undefined
    this.#steps.delete(key)
    this.#steps.set(key, step)
    return step
  }

  add(key: string, step: Recording): Recording {
    this.#steps.set(key, step)
    for (const [oldest, dropped] of this.#steps) {
      if (this.#steps.size <= this.#limit) break
      this.#steps.delete(oldest)
      dropped.dispose()
    }
    return step
  }

  dispose(): void {
    for (const step of this.#steps.values()) step.dispose()
    this.#steps.clear()
  }
}
