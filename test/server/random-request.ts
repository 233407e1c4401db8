import fc from 'fast-check'

/** One request of the fuzz run; `raw` goes over a socket as it is. */
export type RandomRequest =
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'http'
      readonly method: string
      readonly path: string
      readonly headers: Readonly<Record<string, string>>
      readonly body: Uint8Array
      /** the client goes away after this many milliseconds */
      readonly leavesAfter: number | null
    }

const chat = '/v1/chat/completions'
const completions = '/v1/completions'
const encoder = new TextEncoder()
const http = (path: string, body: string | Uint8Array, change: object = {}): RandomRequest => ({
  kind: 'http',
  method: 'POST',
  path,
  headers: { 'content-type': 'application/json' },
  body: typeof body === 'string' ? encoder.encode(body) : body,
  leavesAfter: null,
  ...change,
})

/** Values that are wrong nearly everywhere, and right here and there. */
const anyValue = fc.oneof(
  fc.constantFrom(
    null,
    true,
    false,
    0,
    -0,
    1,
    -1,
    0.5,
    2,
    21,
    1e308,
    -1e308,
    2 ** 53,
    '',
    'a',
    [],
    {},
    [[]],
    [null],
    [{}],
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.array(fc.integer({ min: -2, max: 9000 }), { maxLength: 20 }),
)

/** Small requests that are right: one or two tokens. */
function validRequest(model: string): fc.Arbitrary<{ readonly path: string; readonly body: Record<string, unknown> }> {
  const text = fc.oneof(
    { weight: 4, arbitrary: fc.string({ maxLength: 6 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 4 }) },
  )
  const shared = {
    model: fc.constant(model),
    max_tokens: fc.constantFrom(1, 1, 2),
    n: fc.constantFrom(1, 1, 1, 1, 1, 2),
    stream: fc.boolean(),
    temperature: fc.double({ min: 0, max: 2, noNaN: true }),
    top_p: fc.double({ min: 0.01, max: 1, noNaN: true }),
    top_k: fc.integer({ min: 0, max: 50 }),
    presence_penalty: fc.double({ min: -2, max: 2, noNaN: true }),
    repetition_penalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
    seed: fc.maxSafeInteger(),
    stop: fc.oneof(fc.constant('e'), fc.array(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 4 })),
    ignore_eos: fc.boolean(),
  }
  const message = fc.record({ role: fc.constantFrom('system', 'user', 'assistant'), content: text })
  const chatBody = fc.record(
    { ...shared, messages: fc.array(message, { minLength: 1, maxLength: 2 }), logprobs: fc.boolean() },
    { requiredKeys: ['model', 'max_tokens', 'messages'] },
  )
  const tokens = fc.array(fc.nat(200), { minLength: 1, maxLength: 9 })
  const prompt = fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 2 }), tokens)
  const completionBody = fc.record(
    { ...shared, prompt, logprobs: fc.integer({ min: 0, max: 5 }) },
    { requiredKeys: ['model', 'max_tokens', 'prompt'] },
  )
  return fc.oneof(
    chatBody.map((body) => ({ path: chat, body })),
    completionBody.map((body) => ({ path: completions, body })),
  )
}

/** Mostly wrong requests; what is right is short. */
export function randomRequest(model: string): fc.Arbitrary<RandomRequest> {
  const valid = validRequest(model)
  const field = fc.constantFrom(
    ...['model', 'messages', 'prompt', 'n', 'max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'top_k'],
    ...['min_p', 'seed', 'stop', 'stream', 'stream_options', 'logprobs', 'top_logprobs', 'presence_penalty', 'echo'],
    ...[
      'frequency_penalty',
      'repetition_penalty',
      'tools',
      'response_format',
      'logit_bias',
      'user',
      '__proto__',
      'a.b',
    ],
  )
  const whole = valid.map(({ path, body }) => http(path, JSON.stringify(body)))
  const oneWrong = fc
    .tuple(valid, field, anyValue)
    .map(([{ path, body }, name, value]) => http(path, JSON.stringify({ ...body, [name]: value })))
  const cut = fc
    .tuple(valid, fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([{ path, body }, share]) => http(path, JSON.stringify(body).slice(0, share * 100)))
  const otherJson = fc
    .tuple(fc.constantFrom(chat, completions), fc.json({ maxDepth: 4 }))
    .map(([path, body]) => http(path, body))
  const bytes = fc
    .tuple(fc.constantFrom(chat, completions), fc.uint8Array({ maxLength: 200 }))
    .map(([path, body]) => http(path, body))
  const large = fc.constantFrom(chat, completions).map((path) => http(path, new Uint8Array(70_000).fill(0x20)))
  const odd = fc
    .record({
      method: fc.constantFrom('GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'POST'),
      path: fc.oneof(
        fc.constantFrom(
          '/',
          '/v1',
          '/v1/models',
          '/v1/models/x',
          '/health',
          '/metrics',
          chat,
          completions,
          '/v1/chat/',
        ),
        fc.webPath(),
      ),
      headers: fc.constantFrom({}, { origin: 'https://example.com' }, { authorization: 'Bearer x' }, { host: 'a b' }),
    })
    .map(({ method, path, headers }) => http(path === '' ? '/' : path, '{}', { method, headers }))
  const leaving = fc
    .tuple(valid, fc.nat(20), fc.boolean())
    .map(([{ path, body }, leavesAfter, stream]) =>
      http(path, JSON.stringify({ ...body, max_tokens: 150, ignore_eos: true, stream }), { leavesAfter }),
    )
  const raw = fc
    .oneof(
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.string().map((text) => encoder.encode(`POST ${chat} ${text}\r\n\r\n`)),
    )
    .map((each): RandomRequest => ({ kind: 'raw', bytes: each }))
  return fc.oneof(
    { weight: 5, arbitrary: whole },
    { weight: 50, arbitrary: oneWrong },
    { weight: 10, arbitrary: cut },
    { weight: 10, arbitrary: otherJson },
    { weight: 8, arbitrary: bytes },
    { weight: 2, arbitrary: large },
    { weight: 10, arbitrary: odd },
    { weight: 1, arbitrary: leaving },
    { weight: 4, arbitrary: raw },
  )
}
