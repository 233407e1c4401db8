import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { APIUserAbortError } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../../src/llm/engine.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { smallFiles } from '../files/small-model.ts'
import { collect } from './collect.ts'
import { engineBusy, engineIdle, serveEngine } from './serve-engine.ts'
import { openTestEngine } from './test-engine.ts'

let engine: Engine
let model: string
beforeAll(async () => {
  engine = await openTestEngine()
  model = engine.name
}, 60_000)
afterAll(() => engine.close())

const messages = [
  { role: 'system' as const, content: 'You tell stories.' },
  { role: 'user' as const, content: 'Call me Ishmael.' },
]
const greedy = { temperature: 0, ignore_eos: true }

describe('chat completions', () => {
  it('answers with text, reason and usage', async () => {
    const { client } = await serveEngine(engine)
    const answer = await client.chat.completions.create({ model, messages, max_tokens: 12, ...greedy })
    const prompt = engine.tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })
    const promptTokens = engine.tokenizer.encode(prompt, { special: false }).length
    expect(answer).toMatchObject({ object: 'chat.completion', model })
    expect(answer.choices).toHaveLength(1)
    expect(answer.choices[0]).toMatchObject({ index: 0, finish_reason: 'length', logprobs: null })
    expect(answer.choices[0]?.message).toMatchObject({ role: 'assistant', refusal: null })
    expect(answer.choices[0]?.message.content).not.toBe('')
    expect(answer.usage).toMatchObject({
      prompt_tokens: promptTokens,
      completion_tokens: 12,
      total_tokens: promptTokens + 12,
    })
    expect(answer.usage?.prompt_tokens_details?.cached_tokens).toBeTypeOf('number')
  })

  it('streams the same text: a role, pieces, a reason, the usage', async () => {
    const { client } = await serveEngine(engine)
    const request = { model, messages, max_completion_tokens: 12, ...greedy }
    const whole = await client.chat.completions.create(request)
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await collect(stream)
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' })
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(
      whole.choices[0]?.message.content,
    )
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(['length'])
    expect(new Set(chunks.map(({ id, object }) => `${id} ${object}`)).size).toBe(1)
    const [last, ...others] = chunks.reverse()
    expect(last?.choices).toEqual([])
    expect(last?.usage).toMatchObject({ completion_tokens: 12 })
    for (const chunk of others) expect(chunk.usage).toBeNull()
  })

  it('sends no usage that was not asked for', async () => {
    const { client } = await serveEngine(engine)
    const stream = await client.chat.completions.create({ model, messages, max_tokens: 3, stream: true, ...greedy })
    for await (const chunk of stream) {
      expect(chunk).not.toHaveProperty('usage')
      expect(chunk.choices).toHaveLength(1)
    }
  })

  it('works with the stream helper of the client', async () => {
    const { client } = await serveEngine(engine)
    const stream = client.chat.completions.stream({ model, messages, max_tokens: 8, ...greedy })
    const final = await stream.finalChatCompletion()
    const whole = await client.chat.completions.create({ model, messages, max_tokens: 8, ...greedy })
    expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content)
    expect(final.choices[0]?.finish_reason).toBe('length')
  })

  it('joins content parts, and takes an answer back as it came', async () => {
    const { client } = await serveEngine(engine)
    const first = await client.chat.completions.create({ model, messages, max_tokens: 4, ...greedy })
    const message = first.choices[0]?.message
    if (!message) throw new Error('no message')
    const parts = [
      { type: 'text' as const, text: 'Go ' },
      { type: 'text' as const, text: 'on.' },
    ]
    const ask = async (content: string | typeof parts) => {
      const conversation = [...messages, message, { role: 'user' as const, content }]
      const answer = await client.chat.completions.create({ model, messages: conversation, max_tokens: 6, ...greedy })
      return [answer.usage?.prompt_tokens, answer.choices[0]?.message.content]
    }
    expect(await ask(parts)).toEqual(await ask('Go on.'))
  })

  it('ends at stop texts, which are not part of the text', async () => {
    const { client } = await serveEngine(engine)
    const request = { model, messages, max_tokens: 40, ...greedy }
    const text = (await client.chat.completions.create(request)).choices[0]?.message.content ?? ''
    const stop = text.slice(8, 11)
    for (const stops of [stop, ['\u0000', stop]]) {
      const whole = await client.chat.completions.create({ ...request, stop: stops })
      expect(whole.choices[0]?.message.content).toBe(text.slice(0, text.indexOf(stop)))
      expect(whole.choices[0]?.finish_reason).toBe('stop')
      const chunks = await collect(await client.chat.completions.create({ ...request, stop: stops, stream: true }))
      expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(
        whole.choices[0]?.message.content,
      )
    }
  })

  it('gives log-probabilities of chosen and of likely tokens', async () => {
    const { client } = await serveEngine(engine)
    const request = { model, messages, max_tokens: 5, logprobs: true, top_logprobs: 3, ...greedy }
    const whole = await client.chat.completions.create(request)
    const content = whole.choices[0]?.logprobs?.content ?? []
    expect(content).toHaveLength(5)
    for (const entry of content) {
      expect(entry.logprob).toBeLessThanOrEqual(0)
      expect(entry.top_logprobs).toHaveLength(3)
      expect(Buffer.from(entry.bytes ?? []).toString()).toBe(entry.token)
    }
    const chunks = await collect(await client.chat.completions.create({ ...request, stream: true }))
    expect(chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? [])).toEqual(content)
    const alone = await client.chat.completions.create({ ...request, top_logprobs: 0 })
    expect(alone.choices[0]?.logprobs?.content?.map(({ top_logprobs }) => top_logprobs)).toEqual(content.map(() => []))
  })

  it('repeats itself with a seed, and n choices differ', async () => {
    const { client } = await serveEngine(engine)
    const request = { model, messages, max_tokens: 12, n: 3, seed: -(2 ** 40) + 11, temperature: 1.5, ignore_eos: true }
    const texts = async () => {
      const { choices, usage } = await client.chat.completions.create(request)
      expect(choices.map(({ index }) => index)).toEqual([0, 1, 2])
      expect(usage?.completion_tokens).toBe(36)
      return choices.map(({ message }) => message.content)
    }
    const first = await texts()
    expect(new Set(first).size).toBe(3)
    expect(await texts()).toEqual(first)
    const streamed = ['', '', '']
    for await (const { choices } of await client.chat.completions.create({ ...request, stream: true }))
      for (const { index, delta } of choices) streamed[index] += delta.content ?? ''
    expect(streamed).toEqual(first)
  })
})

describe('completions', () => {
  it('takes text, texts, tokens and lists of tokens', async () => {
    const { client } = await serveEngine(engine)
    const tokens = engine.tokenizer.encode('The whale')
    const complete = async (prompt: string | string[] | number[] | number[][]) => {
      const { choices, usage } = await client.completions.create({ model, prompt, max_tokens: 6, ...greedy })
      return { texts: choices.map(({ text }) => text), prompt_tokens: usage?.prompt_tokens }
    }
    const one = await complete('The whale')
    expect(one.texts[0]).not.toBe('')
    expect(one.prompt_tokens).toBe(tokens.length)
    expect(await complete(tokens)).toEqual(one)
    const two = { texts: [...one.texts, ...one.texts], prompt_tokens: 2 * tokens.length }
    expect(await complete(['The whale', 'The whale'])).toEqual(two)
    expect(await complete([tokens, tokens])).toEqual(two)
  })

  it('gives 16 tokens when not told how many, n choices of each prompt, prompts first', async () => {
    const { client } = await serveEngine(engine)
    const request = { model, prompt: ['A', 'B'], n: 2, echo: true, seed: 5, ignore_eos: true }
    const { choices, usage } = await client.completions.create(request)
    expect(choices.map(({ text }) => text.slice(0, 1)).join('')).toBe('AABB')
    expect(usage?.completion_tokens).toBe(64)
    const streamed = ['', '', '', '']
    for await (const chunk of await client.completions.create({ ...request, stream: true }))
      for (const { index, text } of chunk.choices) streamed[index] += text
    expect(streamed).toEqual(choices.map(({ text }) => text))
  })

  it('gives log-probabilities as lists, with where tokens begin in the text', async () => {
    const { client } = await serveEngine(engine)
    const request = { model, prompt: 'The whale', max_tokens: 5, logprobs: 2, ...greedy }
    const { choices } = await client.completions.create(request)
    const { text, logprobs } = choices[0] ?? { text: '' }
    expect(logprobs?.tokens).toHaveLength(5)
    expect(logprobs?.token_logprobs).toHaveLength(5)
    logprobs?.tokens?.forEach((token, i) => {
      const at = logprobs.text_offset?.[i] ?? -1
      expect(text.slice(at, at + token.length)).toBe(token)
      expect(Object.keys(logprobs.top_logprobs?.[i] ?? {})).toHaveLength(2)
    })
    const chunks = await collect(await client.completions.create({ ...request, stream: true }))
    expect(chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.text_offset ?? [])).toEqual(logprobs?.text_offset)
  })
})

describe('many at a time', () => {
  it('answers eight conversations at once as one after another', async () => {
    const { client } = await serveEngine(engine)
    const ask = (i: number, stream: boolean) => {
      const request = {
        model,
        messages: [{ role: 'user' as const, content: `Chapter ${i}` }],
        max_tokens: 8 + i,
        ...greedy,
      }
      return stream
        ? client.chat.completions.stream(request).finalContent()
        : client.chat.completions.create(request).then(({ choices }) => choices[0]?.message.content)
    }
    const eight = Array.from({ length: 8 }, (_, i) => i)
    const together = await Promise.all(eight.map((i) => ask(i, i % 2 === 0)))
    for (const i of eight) expect(await ask(i, i % 2 === 1)).toBe(together[i])
  })

  it('frees what a client gives up, streaming or not, running or waiting', async () => {
    const { client } = await serveEngine(engine)
    await engineIdle(engine)
    const before = engine.stats()
    const endless = { model, messages, max_tokens: 3000, ignore_eos: true, temperature: 0 }
    const giveUp = new AbortController()
    const whole = Array.from({ length: 6 }, () => client.chat.completions.create(endless, { signal: giveUp.signal }))
    const given = Promise.all(whole.map((each) => expect(each).rejects.toBeInstanceOf(APIUserAbortError)))
    const streams = await Promise.all(
      Array.from({ length: 6 }, () => client.chat.completions.create({ ...endless, stream: true })),
    )
    // more than the engine runs at a time: some have begun, others wait
    await engineBusy(engine, 12)
    giveUp.abort()
    await given
    for (const stream of streams) for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    await engineIdle(engine)
    const after = engine.stats()
    expect(after.pages.used).toBe(before.pages.used)
    expect(after.finished.cancelled - before.finished.cancelled).toBe(12)
    expect(after.finished.length).toBe(before.finished.length)
  })
})

describe('other routes', () => {
  it('lists its model and retrieves it', async () => {
    const { client } = await serveEngine(engine)
    const list = await collect(client.models.list())
    expect(list).toMatchObject([{ id: model, object: 'model', owned_by: 'fovea' }])
    expect(await client.models.retrieve(model)).toEqual(list[0])
  })

  it('counts in /metrics what it did', async () => {
    const { client, server } = await serveEngine(engine)
    const metrics = async () => {
      const response = await fetch(`${server.url}/metrics`)
      expect(response.headers.get('content-type')).toContain('text/plain')
      const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
      for (const line of lines)
        expect(line).toMatch(/^fovea_[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+-]+$/)
      return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').pop())]),
      )
    }
    const before = await metrics()
    const { usage } = await client.completions.create({ model, prompt: 'One', max_tokens: 7, ...greedy })
    await client.completions.create({ model: 'none', prompt: 'One' }).catch(() => {})
    await fetch(`${server.url}/wp-login.php`)
    const after = await metrics()
    const grown = (name: string) => (after[`fovea_${name}`] ?? 0) - (before[`fovea_${name}`] ?? 0)
    expect(grown('completion_tokens_total')).toBe(7)
    expect(grown('prompt_tokens_total')).toBe(usage?.prompt_tokens)
    expect(grown('http_requests_total{route="/v1/completions",method="POST",status="200"}')).toBe(1)
    expect(grown('http_requests_total{route="/v1/completions",method="POST",status="404"}')).toBe(1)
    expect(grown('http_requests_total{route="other",method="GET",status="404"}')).toBe(1)
    expect(grown('answer_seconds_count')).toBe(1)
    expect(grown('time_to_first_token_seconds_bucket{le="+Inf"}')).toBe(1)
    expect(after.fovea_cache_page_capacity).toBe(engine.stats().pages.total)
  })
})

describe('chat_template_kwargs', () => {
  it('are what the template is told, and no others', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fovea-kwargs-'))
    const template = "{% if think is defined and think %}ab{% else %}a{% endif %}{{ 'b' * (count or 0) }}"
    const files: Record<string, unknown> = { ...(await smallFiles()), 'chat_template.jinja': template }
    for (const [name, content] of Object.entries(files))
      writeFileSync(
        join(folder, name),
        content instanceof Uint8Array || typeof content === 'string' ? content : JSON.stringify(content),
      )
    const small = await openEngine(folder, { device: 'wasm', deviceOptions: { wasm: { threads: 1 } }, name: 'small' })
    const { server } = await serveEngine(small)
    const ask = async (given?: unknown) => {
      const body = {
        model: 'small',
        messages,
        max_tokens: 1,
        ...(given !== undefined && { chat_template_kwargs: given }),
      }
      const headers = { 'content-type': 'application/json' }
      const url = `${server.url}/v1/chat/completions`
      const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
      const { usage, error } = (await answer.json()) as {
        usage?: { prompt_tokens: number }
        error?: { code: string; param: string | null; message: string }
      }
      return [answer.status, usage?.prompt_tokens ?? [error?.param, error?.message]]
    }
    expect(await ask()).toEqual([200, 1])
    expect(await ask({})).toEqual([200, 1])
    expect(await ask({ think: true })).toEqual([200, 2])
    expect(await ask({ think: false, other: [1] })).toEqual([200, 1])
    expect(await ask({ think: true, count: 3 })).toEqual([200, 5])
    for (const given of ['think', 7, [true], { messages: [] }, { add_generation_prompt: false }]) {
      const [status, [param, message] = []] = (await ask(given)) as [number, [string | null, string]?]
      expect(status, JSON.stringify(given)).toBe(400)
      expect(`${param} ${message}`, JSON.stringify(given)).toMatch(
        /chat_template_kwargs|messages|add_generation_prompt/,
      )
    }
    await small.close()
    rmSync(folder, { recursive: true })
  })
})
