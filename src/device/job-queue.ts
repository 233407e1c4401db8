import { FoveaError } from '../ir/error.ts'
import { type Fault, restate } from './fault.ts'

/** Hands kernels over to where they run; `done` is called once, later, in the order of the calls. */
export type StartKernels = (done: (error: unknown) => void) => void

type Job = { readonly kernels: StartKernels } | { readonly host: () => void }

/**
 * Kernels and work of the host, in the order in which they were enqueued. Kernels are handed over at once, however many
 * still run; only behind work of the host that waits for kernels do they wait themselves.
 */
export class JobQueue {
  readonly #poll: () => void
  readonly #waiting: Job[] = []
  readonly #later: { readonly after: number; readonly work: () => void }[] = []
  #enqueued = 0
  #finished = 0
  /** kernels handed over and not done */
  #running = 0
  #advancing = false
  #fault: unknown = null
  #ended: Fault | null = null

  /** `poll` calls `done` of kernels that are done already. */
  constructor(poll: () => void) {
    this.#poll = poll
  }

  get idle(): boolean {
    this.#poll()
    return this.#enqueued === this.#finished
  }

  /** Throws what `start` throws when it is called at once; the error of a later one rejects the next `wait`. */
  run(start: StartKernels): void {
    if (this.#waiting.length > 0) this.#waiting.push({ kernels: start })
    else this.#start(start)
    this.#enqueued++
  }

  /** Work of the host: now when nothing is pending, else when everything before it is done; kernels enqueued later wait for it. */
  host(work: () => void): void {
    if (this.idle) work()
    else {
      this.#waiting.push({ host: work })
      this.#enqueued++
    }
  }

  /** Work of the host for which nothing waits, once everything enqueued so far is done. */
  after(work: () => void): void {
    if (this.idle) work()
    else this.#later.push({ after: this.#enqueued, work })
  }

  /** Resolves when everything enqueued so far is done; rejects with the first error since the last wait. */
  async wait(where: string): Promise<void> {
    if (!this.idle && !this.#ended) await new Promise<void>((resolve) => this.after(resolve))
    if (this.#ended) throw new FoveaError(this.#ended.code, where, this.#ended.message)
    const fault = this.#fault
    if (fault === null) return
    this.#fault = null
    throw restate(where, fault)
  }

  /** Skips what has not begun; every `wait` rejects. */
  end(fault: Fault): void {
    if (this.#ended) return
    this.#ended = fault
    this.#waiting.length = 0
    this.#finished = this.#enqueued
    for (const { work } of this.#later.splice(0)) work()
  }

  #start(start: StartKernels): void {
    start((error) => {
      this.#running--
      this.#finished++
      if (error) this.#fault ??= error
      this.#advance()
    })
    this.#running++
  }

  #advance(): void {
    // starting a kernel may find that others are done
    if (this.#ended || this.#advancing) return
    this.#advancing = true
    for (let job = this.#waiting[0]; job; job = this.#waiting[0]) {
      if ('host' in job && this.#running > 0) break
      this.#waiting.shift()
      try {
        if ('kernels' in job) this.#start(job.kernels)
        else job.host()
      } catch (cause) {
        // in its turn, so that what is finished is counted in order
        const note = () => {
          this.#fault ??= cause
        }
        if ('kernels' in job) this.#waiting.unshift({ host: note })
        else note()
      }
      if ('host' in job) this.#finished++
    }
    this.#advancing = false
    while (this.#later[0] && this.#later[0].after <= this.#finished) this.#later.shift()?.work()
  }
}
