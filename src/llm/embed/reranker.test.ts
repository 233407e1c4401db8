import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { smallConfigs, smallEncoder, unigramTokenizer } from '../../../test/files/small-encoder.ts'
import { type Device, openDevice } from '../../device/index.ts'
import { openEncoderCheckpoint } from '../../model/encoders/encoder-checkpoint.ts'
import { EncoderRunner, type EncoderText } from '../../model/encoders/encoder-runner.ts'
import type { Pooling } from '../../model/encoders/encoder-spec.ts'
import { loadEncoderWeights } from '../../model/encoders/encoder-weights.ts'
import { openReranker } from './open-reranker.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 1 } })
})
afterAll(() => device.dispose())

type Numbers = readonly number[]
const matrix = (w: Numbers, x: Numbers, bias?: Numbers) =>
  Array.from({ length: w.length / x.length }, (_, row) =>
    x.reduce((sum, value, col) => sum + value * (w[row * x.length + col] as number), bias?.[row] ?? 0),
  )
const erf = (x: number) => {
  // Maclaurin series: arguments are small
  let [term, sum] = [x, x]
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}
const gelu = (x: number) => (x * (1 + erf(x / Math.SQRT2))) / 2
const layerNorm = (x: Numbers, w: Numbers) => {
  const mean = x.reduce((a, b) => a + b, 0) / x.length
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (w[i] as number))
}

/** Each classifier: its files, how two texts lie in it, and its head as Hugging Face transformers computes it. */
const heads = {
  bert: {
    config: { ...smallConfigs.bert, architectures: ['BertForSequenceClassification'], num_labels: 1 },
    prefix: 'bert.',
    head: {
      'bert.pooler.dense.weight': [8, 8],
      'bert.pooler.dense.bias': [8],
      'classifier.weight': [1, 8],
      'classifier.bias': [1],
    },
    text: { tokens: [2, 4, 5, 3, 5, 6, 8, 3], types: [0, 0, 0, 0, 1, 1, 1, 1] },
    pooling: 'cls',
    score: (h: Numbers, of: (name: string) => Numbers) =>
      matrix(
        of('classifier.weight'),
        matrix(of('bert.pooler.dense.weight'), h, of('bert.pooler.dense.bias')).map(Math.tanh),
        of('classifier.bias'),
      ),
  },
  roberta: {
    config: { ...smallConfigs.roberta, architectures: ['XLMRobertaForSequenceClassification'], id2label: { 0: 'A' } },
    prefix: 'roberta.',
    head: {
      'classifier.dense.weight': [8, 8],
      'classifier.dense.bias': [8],
      'classifier.out_proj.weight': [1, 8],
      'classifier.out_proj.bias': [1],
    },
    more: { 'tokenizer.json': unigramTokenizer },
    text: { tokens: [0, 4, 5, 6, 2, 2, 5, 6, 9, 2] },
    texts: ['the cat', 'cats'],
    pooling: 'cls',
    score: (h: Numbers, of: (name: string) => Numbers) =>
      matrix(
        of('classifier.out_proj.weight'),
        matrix(of('classifier.dense.weight'), h, of('classifier.dense.bias')).map(Math.tanh),
        of('classifier.out_proj.bias'),
      ),
  },
  modernbert: {
    config: {
      ...smallConfigs.modernbert,
      ...{ architectures: ['ModernBertForSequenceClassification'], classifier_pooling: 'mean', num_labels: 1 },
    },
    prefix: 'model.',
    head: { 'head.dense.weight': [8, 8], 'head.norm.weight': [8], 'classifier.weight': [1, 8], 'classifier.bias': [1] },
    text: { tokens: [2, 4, 5, 3, 5, 6, 8, 3] },
    pooling: 'mean',
    score: (h: Numbers, of: (name: string) => Numbers) =>
      matrix(
        of('classifier.weight'),
        layerNorm(matrix(of('head.dense.weight'), h).map(gelu), of('head.norm.weight')),
        of('classifier.bias'),
      ),
  },
  qwen3: {
    config: { ...smallConfigs.qwen3, architectures: ['Qwen3ForSequenceClassification'], num_labels: 1 },
    prefix: 'model.',
    head: { 'score.weight': [1, 8] },
    text: { tokens: [2, 4, 5, 3, 5, 6, 8, 3] },
    pooling: 'last',
    score: (h: Numbers, of: (name: string) => Numbers) => matrix(of('score.weight'), h),
  },
} as const

type Case = (typeof heads)[keyof typeof heads]

async function sourcesOf(of: Case, changes: Readonly<Record<string, unknown>> = {}) {
  const kept = new Map<string, Numbers>()
  const sources = await smallEncoder(
    { ...of.config, ...changes },
    {
      ...{
        head: of.head,
        prefix: of.prefix,
        change: (name: string, values: Float32Array) => kept.set(name, [...values]),
      },
      ...('more' in of && { more: of.more }),
    },
  )
  return { sources, tensor: (name: string) => kept.get(name) ?? [] }
}

/** A pooled hidden state without any head. */
async function pooled(of: Case, text: EncoderText): Promise<Numbers> {
  const { sources } = await sourcesOf(of)
  const checkpoint = await openEncoderCheckpoint(sources)
  const weights = await loadEncoderWeights(device, checkpoint, checkpoint.spec, null, { maxTokens: 16 })
  const runner = new EncoderRunner(device, weights, { tokens: 16, texts: 1 }, 'f32')
  try {
    const [vector] = await runner.run([text], of.pooling as Pooling)
    return [...(vector as Float32Array)]
  } finally {
    runner.dispose()
    weights.dispose()
    await checkpoint.close()
  }
}

const queryAndText = (of: Case) => ('texts' in of ? of.texts : (['the cat', 'cat s sat'] as const))

describe.each(Object.entries(heads))('scores of %s', (_, of: Case) => {
  it('are what its head makes of query and text, whatever is scored beside', async () => {
    const { sources, tensor } = await sourcesOf(of)
    const [query, text] = queryAndText(of)
    const reranker = await openReranker(sources, { device, activation: 'none', batchTokens: 40 })
    const [expected] = of.score(await pooled(of, of.text), tensor)
    const scores = await reranker.score(query, ['', text, 'the mat', text, `${text} ${text} ${text}`, text])
    expect(scores).toHaveLength(6)
    for (const i of [1, 3, 5]) expect(scores[i]).toBeCloseTo(expected as number, 5)
    expect(scores[0]).not.toBeCloseTo(expected as number, 3)
    await reranker.close()
  })
})

it('types tell the second text from the first', async () => {
  const { types: _, ...flat } = heads.bert.text
  const [typed, untyped] = [await pooled(heads.bert, heads.bert.text), await pooled(heads.bert, flat)]
  expect(Math.max(...typed.map((x, i) => Math.abs(x - (untyped[i] as number))))).toBeGreaterThan(1e-3)
  // all of type 1: a model whose rows of types are the other way round, given all of type 0
  const ones = await pooled(heads.bert, { tokens: flat.tokens, types: flat.tokens.map(() => 1) })
  const swapped = await smallEncoder(smallConfigs.bert, {
    ...{ head: heads.bert.head, prefix: heads.bert.prefix },
    change(name, values) {
      if (name.endsWith('token_type_embeddings.weight')) values.set([...values.slice(8), ...values.slice(0, 8)])
    },
  })
  const checkpoint = await openEncoderCheckpoint(swapped)
  const weights = await loadEncoderWeights(device, checkpoint, checkpoint.spec, null, { maxTokens: 16 })
  const runner = new EncoderRunner(device, weights, { tokens: 16, texts: 1 }, 'f32')
  const [vector] = await runner.run([{ tokens: flat.tokens }], 'cls')
  ones.forEach((x, i) => {
    expect(vector?.[i]).toBeCloseTo(x, 5)
  })
  runner.dispose()
  weights.dispose()
  await checkpoint.close()
})

describe('scores', () => {
  const scored = async (changes: Readonly<Record<string, unknown>>, activation?: 'sigmoid' | 'none') => {
    const { sources } = await sourcesOf(heads.bert, changes)
    const reranker = await openReranker(sources, { device, ...(activation && { activation }) })
    const [score] = await reranker.score('the cat', ['cat s sat'])
    await reranker.close()
    return score as number
  }
  it('go from 0 to 1, or are as they are: what the file says, or the option', async () => {
    const raw = await scored({}, 'none')
    const sigmoid = 1 / (1 + Math.exp(-raw))
    const identity = 'torch.nn.modules.linear.Identity'
    expect(await scored({})).toBeCloseTo(sigmoid, 6)
    expect(await scored({ sbert_ce_default_activation_function: identity })).toBeCloseTo(raw, 6)
    expect(await scored({ sentence_transformers: { activation_fn: identity, version: '5' } })).toBeCloseTo(raw, 6)
    expect(await scored({ sbert_ce_default_activation_function: identity }, 'sigmoid')).toBeCloseTo(sigmoid, 6)
    await expect(scored({ sbert_ce_default_activation_function: 'torch.nn.Softplus' })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/sbert_ce_default_activation_function is "torch\.nn\.Softplus"/),
    })
  })

  it('are of pairs that are cut off where they are too long, the longer text first', async () => {
    const { sources } = await sourcesOf(heads.bert)
    const strict = await openReranker(sources, { device, activation: 'none', maxTokens: 8 })
    await expect(strict.score('the cat', ['cat', 'the cat sat on the mat'])).rejects.toMatchObject({
      code: 'capacity',
      message: expect.stringMatching(/query and texts\[1\] has 11 tokens, at most 8/),
    })
    const [expected, both] = await strict.score('the cat', ['the cat sat', 'the cat'])
    await strict.close()
    const again = await sourcesOf(heads.bert)
    const cutting = await openReranker(again.sources, { device, activation: 'none', maxTokens: 8, truncate: true })
    expect((await cutting.score('the cat', ['the cat sat on the mat']))[0]).toBeCloseTo(expected as number, 5)
    const short = await cutting.score('the cat sat on', ['the cat sat on the mat'])
    const [three] = await cutting.score('the cat', ['the cat sat'])
    expect(short[0]).not.toBeCloseTo(both as number, 3)
    expect(three).toBeCloseTo(expected as number, 5)
    await cutting.close()
  })

  it.each([
    [{ architectures: ['BertModel'] }, 'unsupported', /architectures is \["BertModel"\]; what scores is/],
    [{ id2label: { 0: 'no', 1: 'yes' } }, 'unsupported', /id2label has 2 labels; a model that scores has one/],
    [{ model_type: 'eurobert' }, 'unsupported', /a classifier of eurobert is not computed here/],
  ])('are refused for %j', async (changes, code, message) => {
    const { sources } = await sourcesOf(heads.bert)
    const config = { ...heads.bert.config, ...changes }
    const { 'config.json': file } = await smallEncoder(smallConfigs.bert, { more: { 'config.json': config } })
    const opened = openReranker({ ...sources, ...(file && { 'config.json': file }) }, { device })
    await expect(opened).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('are refused for a head of several rows, naming file and tensor', async () => {
    const { config, prefix, head } = heads.bert
    const sources = await smallEncoder(config, { prefix, head: { ...head, 'classifier.weight': [2, 8] } })
    await expect(openReranker(sources, { device })).rejects.toMatchObject({
      code: 'format',
      message: expect.stringMatching(/classifier\.weight must be \[1, 8\], got \[2, 8\]/),
    })
  })

  it('are refused for what is no text, and misspelt options', async () => {
    const { sources } = await sourcesOf(heads.bert)
    const reranker = await openReranker(sources, { device })
    await expect(reranker.score(1 as never, [])).rejects.toThrow(/^reranker\.score: query must be a text, got number/)
    await expect(reranker.score('a', 'b' as never)).rejects.toThrow(/texts must be a list/)
    await expect(reranker.score('a', [1 as never])).rejects.toThrow(/query and texts\[0\] must be texts/)
    await expect(reranker.score('a', [], { sginal: 1 } as never)).rejects.toThrow(/did you mean signal\?/)
    await reranker.close()
    await expect(reranker.score('a', ['b'])).rejects.toMatchObject({ code: 'disposed' })
  })
})
