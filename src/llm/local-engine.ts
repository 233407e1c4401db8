import type { PageCache } from '../cache/page-cache.ts'
import type { Device } from '../device/index.ts'
import type { Checkpoint } from '../model/checkpoint.ts'
import type { Tokenizer } from '../model/tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { ActiveSequence } from './active-sequence.ts'
import { checkRequest } from './check-request.ts'
import type { Drafter } from './drafts/drafter.ts'
import type { Engine, EngineStats } from './engine.ts'
import { EngineLoop } from './engine-loop.ts'
import type { GenerateRequest, Generation } from './generation.ts'
import { GenerationStream } from './generation-stream.ts'
import type { ModelParts } from './open-parts.ts'
import type { MemoryPlan } from './plan-engine.ts'
import type { TokenSampler } from './token-sampler.ts'

/** An engine on a device of this process. Made by `openEngine`. */
export class LocalEngine implements Engine {
  readonly name: string
  readonly tokenizer: Tokenizer
  readonly contextLength: number
  /** what was allocated, as it was planned */
  readonly memory: MemoryPlan
  readonly device: Device
  /** for saving and restoring prefixes */
  readonly cache: PageCache
  readonly checkpoint: Checkpoint
  readonly #parts: ModelParts
  readonly #sampler: TokenSampler
  readonly #drafter: Drafter | null
  readonly #loop: EngineLoop
  #generations = 0
  #closing: Promise<void> | null = null

  constructor(name: string, parts: ModelParts, sampler: TokenSampler, drafter: Drafter | null) {
    const { checkpoint, plan, cache, runner } = parts
    const { options } = plan
    this.#parts = parts
    this.#sampler = sampler
    this.#drafter = drafter
    this.name = name
    this.tokenizer = checkpoint.tokenizer
    this.contextLength = options.contextLength
    const draft = drafter?.bytes ?? 0
    this.memory = { ...plan.memory, draft, total: plan.memory.total + draft }
    this.device = parts.device
    this.cache = cache
    this.checkpoint = checkpoint
    this.#loop = new EngineLoop({
      runner,
      cache,
      sampler,
      endTokens: new Set([...checkpoint.spec.eosTokens, ...checkpoint.tokenizer.eosTokens]),
      maxSequences: options.maxSequences,
      drafter,
    })
  }

  generate(request: GenerateRequest): Generation {
    const where = 'engine.generate'
    if (this.#closing) throw new FoveaError('disposed', where, 'the engine was closed')
    const { options } = this.#parts.plan
    const { vocabSize } = this.checkpoint.spec
    const checked = checkRequest(where, request, {
      tokenizer: this.tokenizer,
      vocabSize,
      contextLength: this.contextLength,
    })
    const { waiting, running } = this.#loop
    if (waiting + running >= options.maxSequences + options.maxQueue)
      throw new FoveaError(
        'capacity',
        where,
        `${running} generations run and ${waiting} wait; the queue holds ${options.maxQueue}`,
      )
    if (checked.signal?.aborted) throw new FoveaError('cancelled', where, 'the signal was aborted before')
    const stream = new GenerationStream(++this.#generations, () => this.#loop.cancel(sequence))
    const sequence = new ActiveSequence(checked, stream, this.tokenizer)
    const cancel = () => stream.cancel()
    checked.signal?.addEventListener('abort', cancel, { once: true })
    const forget = () => checked.signal?.removeEventListener('abort', cancel)
    stream.result.then(forget, forget)
    this.#loop.add(sequence)
    return stream
  }

  stats(): EngineStats {
    const { counts } = this.#loop
    const { device } = this.#parts.runner
    const { total, used, cached, free } = this.cache.stats()
    return {
      running: this.#loop.running,
      waiting: this.#loop.waiting,
      pages: { total, used, cached, free },
      promptTokens: counts.promptTokens,
      cachedTokens: counts.cachedTokens,
      completionTokens: counts.completionTokens,
      draftTokens: counts.draftTokens,
      acceptedTokens: counts.acceptedTokens,
      steps: counts.steps,
      finished: { ...counts.finished },
      memory: { planned: this.memory.total, allocated: device.memory.allocated, peak: device.memory.peak },
    }
  }

  async close(options: { readonly drain?: boolean } = {}): Promise<void> {
    checkFields('engine.close', 'options', options, closeFields)
    this.#closing ??= this.#close()
    // also what an earlier call still waits for
    if (!options.drain) this.#loop.cancelAll()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#loop.idle()
    await this.#drafter?.release()
    this.#sampler.dispose()
    await this.#parts.release()
  }
}

const closeFields: FieldsOf<NonNullable<Parameters<Engine['close']>[0]>> = { drain: true }
