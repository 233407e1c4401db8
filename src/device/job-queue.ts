import { FoveaError } from '../ir/error.ts'
import { type Fault, restate } from './fault.ts'

/** Work in the order in which it was enqueued: done at once while nothing is pending, else one after the other. */
export class JobQueue {
  /** settles when everything enqueued is done; null while nothing is pending */
  #tail: Promise<void> | null = null
  #fault: unknown = null
  #ended: Fault | null = null

  get idle(): boolean {
    return this.#tail === null
  }

  /** A job that is done at once throws to the caller; the error of a later one rejects the next `wait`. */
  enqueue(job: () => void | Promise<void>): void {
    if (this.#tail) {
      this.#follow(this.#tail.then(() => (this.#ended ? undefined : job())))
      return
    }
    const pending = job()
    if (pending) this.#follow(pending)
  }

  /** Resolves when everything enqueued so far is done. */
  async wait(where: string): Promise<void> {
    // what is enqueued meanwhile is not waited for
    const tail = this.#tail
    if (tail) await tail
    if (this.#ended) throw new FoveaError(this.#ended.code, where, this.#ended.message)
    const fault = this.#fault
    if (fault === null) return
    this.#fault = null
    throw restate(where, fault)
  }

  /** Skips what has not begun; every `wait` rejects. */
  end(fault: Fault): void {
    this.#ended ??= fault
  }

  #follow(job: Promise<void>): void {
    const tail: Promise<void> = job
      .catch((cause: unknown) => {
        this.#fault ??= cause
      })
      .then(() => {
        if (this.#tail === tail) this.#tail = null
      })
    this.#tail = tail
  }
}
