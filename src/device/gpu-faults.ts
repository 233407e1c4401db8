import { FoveaError } from '../ir/error.ts'
import { type Fault, messageOf } from './fault.ts'

/** how long a failed wait is given for the loss of the device, which may explain it, to be announced */
const lossDelay = 50

/**
 * What a GPUDevice reports after the call that caused it: errors of scopes, and its loss. The first fault is kept until
 * somebody waits; a loss stays.
 */
export class GpuFaults {
  readonly #device: GPUDevice
  readonly #checks = new Set<Promise<void>>()
  readonly #waiting = new Set<(end: Fault) => void>()
  #first: Fault | null = null
  #end: Fault | null = null

  constructor(device: GPUDevice) {
    this.#device = device
    device.lost.then(
      ({ reason, message }) => this.end({ code: 'device', message: `the GPU device was lost (${reason}): ${message}` }),
      (cause) => this.end({ code: 'device', message: `the GPU device was lost: ${messageOf(cause)}` }),
    )
  }

  /** From now on everything waited for rejects, and everything new is refused. */
  end(fault: Fault): void {
    if (this.#end) return
    this.#end = fault
    for (const stop of this.#waiting) stop(fault)
    this.#waiting.clear()
  }

  assertUsable(where: string): void {
    if (this.#end) throw new FoveaError(this.#end.code, where, this.#end.message)
  }

  /** Runs `work`; an error that the device reports about it becomes a fault, put into words by `describe`. */
  watch<T>(
    filters: readonly GPUErrorFilter[],
    work: () => T,
    describe: (message: string, filter: GPUErrorFilter) => Fault,
  ): T {
    for (const filter of filters) this.#device.pushErrorScope(filter)
    try {
      return work()
    } finally {
      for (const filter of [...filters].reverse()) {
        const check: Promise<void> = this.#device.popErrorScope().then(
          (error) => {
            if (error) this.#first ??= { ...describe(error.message, filter), cause: error }
          },
          // a device that is gone reports nothing else
          () => {},
        )
        this.#checks.add(check)
        check.then(() => this.#checks.delete(check))
      }
    }
  }

  /**
   * The result of `promise`. Rejects as soon as the device is lost, with the first fault reported by the time the promise
   * settles, or as the promise does.
   */
  async wait<T>(where: string, promise: Promise<T>): Promise<T> {
    try {
      const result = await this.#unlessEnded(where, promise)
      await this.#unlessEnded(where, Promise.all(this.#checks))
      this.#throwFirst(where)
      return result
    } catch (cause) {
      if (cause instanceof FoveaError) throw cause
      await this.#unlessEnded(where, Promise.all(this.#checks))
      this.#throwFirst(where)
      await this.#unlessEnded(where, new Promise((resolve) => setTimeout(resolve, lossDelay)))
      throw cause
    }
  }

  #throwFirst(where: string): void {
    const fault = this.#first
    if (!fault) return
    this.#first = null
    throw new FoveaError(fault.code, where, fault.message, { cause: fault.cause })
  }

  #unlessEnded<T>(where: string, promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = ({ code, message }: Fault) => reject(new FoveaError(code, where, message))
      if (this.#end) stop(this.#end)
      this.#waiting.add(stop)
      promise.then(resolve, reject).then(() => this.#waiting.delete(stop))
    })
  }
}
