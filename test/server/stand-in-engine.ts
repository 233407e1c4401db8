import type { Engine, EngineStats } from '../../src/llm/engine.ts'
import type { FinishReason, GenerateRequest, TokenLogprob } from '../../src/llm/generation.ts'
import { GenerationStream } from '../../src/llm/generation-stream.ts'
import { StopTexts } from '../../src/llm/stop-texts.ts'
import type { Tokenizer } from '../../src/model/tokenizer.ts'
import { FoveaError } from '../../src/tile/index.ts'

const [bos, eos] = [256, 257]
const encoder = new TextEncoder()

/** Bytes are tokens. */
const tokenizer: Tokenizer = {
  vocabSize: 258,
  bosToken: bos,
  eosTokens: [eos],
  encode: (text, { special = true } = {}) => [...(special ? [bos] : []), ...encoder.encode(text)],
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens.filter((token) => token < 256))),
  piece: (token) => {
    const bytes = token < 256 ? Uint8Array.of(token) : encoder.encode(token === bos ? '<s>' : '</s>')
    return { text: new TextDecoder().decode(bytes), bytes }
  },
  isSpecial: (token) => token >= 256,
  hasChatTemplate: true,
  applyChatTemplate: (messages) => `${messages.map(({ role, content }) => `<${role}>${content}`).join('')}<assistant>`,
}

interface Running {
  readonly request: GenerateRequest & { readonly prompt: readonly number[] }
  readonly stream: GenerationStream
  readonly tokens: number[]
  readonly stops: StopTexts
  text: string
  cancelled: boolean
}

/** Writes the alphabet, from a letter that the prompt and the seed decide; a step of all that runs takes `stepMs`. */
export function standInEngine(
  options: { stepMs?: number; batch?: number; queue?: number; contextLength?: number } = {},
): Engine {
  const { stepMs = 0, batch = 8, queue = 32, contextLength = 4096 } = options
  const running = new Set<Running>()
  const waiting: Running[] = []
  const finished = { stop: 0, length: 0, cancelled: 0, failed: 0 }
  const counts = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, steps: 0, draftTokens: 0, acceptedTokens: 0 }
  let closed = false
  let ticking = false
  let ids = 0

  function finish(one: Running, finishReason: FinishReason): void {
    running.delete(one)
    const at = waiting.indexOf(one)
    if (at >= 0) waiting.splice(at, 1)
    finished[finishReason]++
    counts.completionTokens += one.tokens.length
    const usage = { promptTokens: one.request.prompt.length, cachedTokens: 0, completionTokens: one.tokens.length }
    const timing = { queuedMs: 1, prefillMs: 2, decodeMs: one.tokens.length }
    one.stream.end({ text: one.text, tokens: one.tokens, finishReason, usage, timing })
  }

  function step(one: Running): void {
    const { request, stream, tokens } = one
    const first = request.prompt.reduce((sum, token) => sum + token, request.sampling?.seed ?? 0)
    const token = 97 + ((first + tokens.length) % 26)
    tokens.push(token)
    const top = (count: number): TokenLogprob[] =>
      Array.from({ length: count }, (_, i) => ({ token: 97 + i, logprob: -i }))
    const last = tokens.length >= (request.maxTokens ?? 256)
    const text = one.stops.push(String.fromCharCode(token)) + (last && !one.stops.stopped ? one.stops.flush() : '')
    one.text += text
    const logprob = request.logprobs === undefined ? null : { token, logprob: -0.5, top: top(request.logprobs) }
    stream.push({ token, text, logprob })
    if (one.stops.stopped) finish(one, 'stop')
    else if (last) finish(one, 'length')
  }

  async function tick(): Promise<void> {
    if (ticking) return
    ticking = true
    while (running.size + waiting.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, stepMs))
      for (const one of [...running, ...waiting]) if (one.cancelled || closed) finish(one, 'cancelled')
      while (running.size < batch && waiting.length > 0) running.add(waiting.shift() as Running)
      for (const one of running) step(one)
      counts.steps++
    }
    ticking = false
  }

  return {
    name: 'stand-in',
    tokenizer,
    contextLength,
    generate(request) {
      if (closed) throw new FoveaError('disposed', 'generate', 'the engine is closed')
      const prompt = typeof request.prompt === 'string' ? tokenizer.encode(request.prompt) : request.prompt
      if (prompt.length === 0) throw new FoveaError('argument', 'generate', 'the prompt is empty')
      for (const token of prompt)
        if (token >= tokenizer.vocabSize) throw new FoveaError('argument', 'generate', `there is no token ${token}`)
      if (waiting.length >= queue) throw new FoveaError('capacity', 'generate', `${queue} generations wait already`)
      const stream = new GenerationStream(ids++, () => {
        one.cancelled = true
      })
      const one: Running = {
        request: { ...request, prompt },
        stream,
        tokens: [],
        stops: new StopTexts(request.stop ?? []),
        text: '',
        cancelled: false,
      }
      request.signal?.addEventListener('abort', () => stream.cancel())
      if (request.signal?.aborted) stream.cancel()
      counts.promptTokens += prompt.length
      waiting.push(one)
      void tick()
      return stream
    },
    stats(): EngineStats {
      const used = running.size
      const pages = { total: 64, used, cached: 0, free: 64 - used }
      const memory = { planned: 1000, allocated: 900, peak: 950 }
      return { running: running.size, waiting: waiting.length, pages, finished: { ...finished }, memory, ...counts }
    },
    async close() {
      closed = true
      while (ticking) await new Promise((resolve) => setTimeout(resolve, 1))
    },
  }
}
