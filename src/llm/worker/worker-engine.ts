import type { Tokenizer } from '../../model/tokenizer.ts'
import { FoveaError } from '../../tile/index.ts'
import type { Engine, EngineStats } from '../engine.ts'
import type { GenerateRequest, Generation } from '../generation.ts'
import { GenerationStream } from '../generation-stream.ts'
import type { MemoryPlan } from '../plan-engine.ts'
import { type EngineFacts, type FromWorker, type TokenizerMethod, tokenizerMethods } from './engine-messages.ts'
import { errorOf } from './error-message.ts'
import type { EngineWorker } from './start-engine-worker.ts'

/** A tokenizer in another thread: what it computes comes as a promise, what it is is here. */
export type WorkerTokenizer = Pick<
  Tokenizer,
  'vocabSize' | 'bosToken' | 'eosTokens' | 'hasChatTemplate' | 'chatTemplate'
> & {
  readonly [Name in TokenizerMethod]: (...args: Parameters<Tokenizer[Name]>) => Promise<ReturnType<Tokenizer[Name]>>
}

/**
 * An engine in a worker, used as one of this thread. Made by `openEngineInWorker`. What differs: methods of the tokenizer give
 * promises; a request that the engine refuses (`argument`, `capacity`) rejects the generation's result and iteration
 * instead of throwing; `stats` are as of the last message. When the worker is lost, all that waits rejects with `device`.
 */
export class WorkerEngine implements Omit<Engine, 'tokenizer'> {
  readonly name: string
  readonly contextLength: number
  /** what was allocated, as it was planned */
  readonly memory: MemoryPlan
  readonly device: EngineFacts['device']
  readonly tokenizer: WorkerTokenizer
  readonly #worker: EngineWorker
  readonly #streams = new Map<number, GenerationStream>()
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  readonly #closed: Promise<void>
  readonly #settleClosed: () => void
  #stats: EngineStats
  #last = 0
  #closing = false
  #lost: FoveaError | null = null

  constructor(worker: EngineWorker, { name, contextLength, memory, device, tokenizer, stats }: EngineFacts) {
    this.#worker = worker
    this.name = name
    this.contextLength = contextLength
    this.memory = memory
    this.device = device
    this.#stats = stats
    const methods = tokenizerMethods.map((method) => [method, (...args: unknown[]) => this.#call(method, args)])
    this.tokenizer = { ...tokenizer, ...Object.fromEntries(methods) }
    let settle = () => {}
    this.#closed = new Promise((resolve) => {
      settle = resolve
    })
    this.#settleClosed = settle
    this.#holdWhileAsked()
  }

  generate(request: GenerateRequest): Generation {
    const where = 'engine.generate'
    this.#checkOpen(where)
    if (typeof request !== 'object' || request === null)
      throw new FoveaError('argument', where, `a request must be an object, got ${request}`)
    const { signal, ...rest } = request
    if (signal?.aborted) throw new FoveaError('cancelled', where, 'the signal was aborted before')
    const id = ++this.#last
    const stream = new GenerationStream(id, () => this.#worker.post({ type: 'cancel', id }))
    try {
      this.#worker.post({ type: 'generate', id, request: rest })
    } catch (cause) {
      throw new FoveaError('argument', where, `the request cannot go to a worker: ${(cause as Error).message}`, {
        cause,
      })
    }
    this.#streams.set(id, stream)
    this.#holdWhileAsked()
    const cancel = () => stream.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    const forget = () => signal?.removeEventListener('abort', cancel)
    stream.result.then(forget, forget)
    return stream
  }

  /** As of the last message of the worker: during a generation as of its last events. */
  stats(): EngineStats {
    return this.#stats
  }

  close(options: { readonly drain?: boolean } = {}): Promise<void> {
    if (this.#lost) return Promise.resolve()
    this.#closing = true
    // also what an earlier call still waits for
    this.#worker.post({ type: 'close', drain: options.drain ?? false })
    this.#holdWhileAsked()
    return this.#closed
  }

  /** Takes a message of the worker. For `openEngineInWorker`. */
  take(message: FromWorker): void {
    if (message.type === 'events') this.#takeEvents(message)
    else if (message.type === 'answer') {
      const call = this.#calls.get(message.id)
      this.#calls.delete(message.id)
      if (message.error) call?.reject(errorOf(message.error))
      else call?.resolve(message.value)
    } else if (message.type === 'closed') {
      this.#stats = message.stats ?? this.#stats
      this.#end(new FoveaError('disposed', 'engine', 'the engine was closed'))
    }
    this.#holdWhileAsked()
  }

  /** The worker is gone. For `openEngineInWorker`. */
  lose(cause: unknown): void {
    if (this.#lost) return
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#end(new FoveaError('device', 'engine', `the worker of the engine was lost: ${reason}`, { cause }))
  }

  #takeEvents({ id, events, prefill, stats, end }: Extract<FromWorker, { type: 'events' }>): void {
    this.#stats = stats
    const stream = this.#streams.get(id)
    if (!stream) return
    if (!end) this.#worker.post({ type: 'more', id })
    if (prefill) {
      try {
        stream.onPrefill?.(...prefill)
      } catch (error) {
        // a listener that throws fails its own generation, as it does without a worker
        this.#worker.post({ type: 'cancel', id })
        this.#streams.delete(id)
        stream.fail(error)
        return
      }
    }
    for (const event of events) stream.push(event)
    if (!end) return
    this.#streams.delete(id)
    if ('result' in end) stream.end(end.result)
    else stream.fail(errorOf(end.error))
  }

  #call(method: TokenizerMethod, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#checkOpen(`tokenizer.${method}`)
      const id = ++this.#last
      this.#worker.post({ type: 'call', id, method, args })
      this.#calls.set(id, { resolve, reject })
      this.#holdWhileAsked()
    })
  }

  #checkOpen(where: string): void {
    if (this.#closing) throw new FoveaError('disposed', where, 'the engine was closed')
    if (this.#lost) throw this.#lost
  }

  #end(error: FoveaError): void {
    this.#lost = error
    this.#worker.terminate()
    for (const stream of this.#streams.values()) stream.fail(error)
    for (const { reject } of this.#calls.values()) reject(error)
    this.#streams.clear()
    this.#calls.clear()
    this.#settleClosed()
  }

  /** An engine that nobody waits for does not keep a process alive. */
  #holdWhileAsked(): void {
    if (!this.#lost) this.#worker.hold(this.#closing || this.#streams.size + this.#calls.size > 0)
  }
}
