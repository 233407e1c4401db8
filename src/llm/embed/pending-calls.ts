import { FoveaError } from '../../tile/index.ts'

/** Calls that run, for whoever closes what they run on. */
export class PendingCalls {
  readonly #calls = new Set<Promise<unknown>>()
  readonly #what: string
  #closing: Promise<void> | null = null

  constructor(what: string) {
    this.#what = what
  }

  /** Throws `disposed` in the name of `where` once closed. */
  async run<T>(where: string, call: () => Promise<T>): Promise<T> {
    if (this.#closing) throw new FoveaError('disposed', where, `the ${this.#what} was closed`)
    const running = call()
    this.#calls.add(running)
    try {
      return await running
    } finally {
      this.#calls.delete(running)
    }
  }

  /** Refuses new calls, waits for those that run, and then releases; the same at every call. */
  close(release: () => Promise<void>): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#calls).then(release)
    return this.#closing
  }
}
