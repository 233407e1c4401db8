import { ApiError, clientGone, shuttingDown, tooBusy } from './api-error.ts'

/** A request under way: why it ends early, said once, and a signal for whoever works for it. */
export class ActiveRequest {
  readonly #controller = new AbortController()
  readonly #atEnd: () => void
  readonly startedMs: number = performance.now()
  #reason: ApiError | null = null

  constructor(atEnd: () => void) {
    this.#atEnd = atEnd
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** what the client is told, when it ends early */
  get reason(): ApiError | null {
    return this.#reason
  }

  abort(reason: ApiError): void {
    if (this.#reason) return
    this.#reason = reason
    this.#controller.abort(reason)
  }

  /** To be called when its answer is complete, or given up. */
  end(): void {
    this.#atEnd()
  }
}

/** Every request that is being read, waiting or being answered, so that shutting down can wait for them or end them. */
export class ActiveRequests {
  readonly #open = new Set<ActiveRequest>()
  readonly #most: number
  readonly #answerMs: number
  #closing = false
  #whenIdle: (() => void)[] = []

  constructor(most: number, answerMs: number) {
    this.#most = most
    this.#answerMs = answerMs
  }

  get count(): number {
    return this.#open.size
  }

  get closing(): boolean {
    return this.#closing
  }

  /** Takes a request on, or throws 503 or 429. It ends early when its client goes (`client`) and when its time is over. */
  open(client: AbortSignal, retryAfterSeconds: () => number): ActiveRequest {
    if (this.#closing) throw shuttingDown()
    if (this.#open.size >= this.#most)
      throw tooBusy(`${this.#most} requests are under way, as many as this server takes at a time`, retryAfterSeconds())
    const gone = () => request.abort(clientGone())
    const timer = setTimeout(() => request.abort(outOfTime(this.#answerMs)), this.#answerMs)
    const request = new ActiveRequest(() => {
      if (!this.#open.delete(request)) return
      clearTimeout(timer)
      client.removeEventListener('abort', gone)
      if (this.#open.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
    })
    this.#open.add(request)
    client.addEventListener('abort', gone)
    if (client.aborted) gone()
    return request
  }

  /** From now on `open` throws 503. */
  refuse(): void {
    this.#closing = true
  }

  abortAll(reason: ApiError): void {
    for (const request of this.#open) request.abort(reason)
  }

  /** Settles when no request is under way. */
  idle(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve))
  }
}

/** The official client would ask again at once, and fail again. */
function outOfTime(milliseconds: number): ApiError {
  const detail = { message: `no complete answer within ${milliseconds / 1000} s`, code: 'timeout' }
  return new ApiError(503, detail, { 'x-should-retry': 'false' })
}
