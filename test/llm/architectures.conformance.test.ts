import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { openParts } from '../../src/llm/open-parts.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { openParityCase, type ParityRoot, parityFolder, parityFolders } from './parity-folder.ts'
import { batched, closeTo, openScored } from './parity-runs.ts'
import { runTokens } from './run-tokens.ts'

/** Recorded models that are opened by `openEmbedder`, and are held to their vectors there. */
const encoders = 'bert eurobert modernbert nomic-bert qwen3-embedding roberta xlm-roberta'.split(' ')

/** Recorded models that do not open yet, by what they need. */
const notYet: Readonly<Record<string, string>> = {
  'recurrent layers, alone or beside attention': `bamba falcon-h1 falcon-mamba granite-hybrid jamba kimi-linear lfm2 lfm2-moe
    mamba mamba2 mamba2-limit minimax nemotron-h olmo-hybrid qwen3-5 qwen3-5-moe qwen3-next recurrent-gemma rwkv zamba2`,
  'tokens chosen by an indexer': 'deepseek-v32 deepseek-v4 glm-moe-dsa hy-v4 minimax-m3 qwen4-exp',
  'convolutions inside attention': 'zaya',
  'layers of their own form': 'longcat-flash mistral4',
}
const pending = Object.values(notYet).flatMap((names) => names.split(/\s+/))

/**
 * ALiBi of Falcon was recorded with transformers' eager attention, which adds it twice: in the scores and in the mask. Its
 * other attention ('sdpa', the default) adds it once, as Falcon was trained: logits then differ by up to 1.1227 (transformers
 * 5.17, float64), as ours do. Slopes of twice the size give what was recorded.
 */
const recordedOtherwise = ['falcon-alibi']

/** One model for each set of programs that no other has. */
const onWebgpu = 'afmoe apertus bloom cohere-qknorm gemma3n gemma4-moe gpt-oss llama4 mimo-v2-flash minicpm3'.split(' ')

const all = parityFolders('architectures')
const absent = 'hardware: ../shared/golden/architectures is not beside the project'
const root: ParityRoot = all.length > 0 ? 'architectures' : 'copied'
const decoders = parityFolders(root).filter((name) => ![...encoders, ...pending, ...recordedOtherwise].includes(name))

it('knows every recorded model', (context) => {
  if (root !== 'architectures') context.skip(absent)
  for (const name of [...encoders, ...pending, ...recordedOtherwise]) expect(all).toContain(name)
  for (const name of onWebgpu) expect(decoders).toContain(name)
})

it.for(pending)('%s is refused by the name of its architecture', async (name, context) => {
  if (root !== 'architectures') context.skip(absent)
  await expect(openCheckpoint(parityFolder(name, root))).rejects.toMatchObject({
    code: 'format',
    message: expect.stringContaining('unknown architecture'),
  })
})

describe.each(['wasm', 'webgpu'] as const)('architectures of Hugging Face transformers on %s', (kind) => {
  let device: Device
  beforeAll(async () => {
    device = await openDevice(kind)
  })
  afterAll(() => device.dispose())

  const names = kind === 'wasm' ? decoders : decoders.filter((name) => onWebgpu.includes(name))
  // a shader takes its time to compile in software: there a whole prefill and single tokens do
  const chunks = kind === 'wasm' ? [70, 17, 1] : [70, 1]

  it.each(names)(
    '%s: logits in one piece, in chunks, token by token, on shared pages, in mixed batches',
    async (name) => {
      const recorded = await openParityCase(name, root)
      const { tokens, checkpoint } = recorded
      const close = closeTo(name, recorded)
      const options = { device, contextLength: 128, pageSize: 16, maxSequences: 4, cacheFormat: 'f32' } as const
      const scored = await openScored(await openParts(checkpoint, options, 'generate'))
      try {
        for (const chunk of chunks) {
          const sequence = scored.cache.open([])
          for (let from = 0; from < tokens.length; from += chunk) {
            const [got] = await runTokens(scored, [{ sequence, tokens: tokens.slice(from, from + chunk) }])
            close(got as Float32Array, from, `${chunk} at a time, from ${from}`)
          }
          sequence.close({ keep: chunk === 1 })
        }
        if (kind === 'webgpu') return
        const shared = scored.cache.open(tokens)
        expect(shared.length % 16).toBe(0)
        const from = shared.length
        const [rest] = await runTokens(scored, [{ sequence: shared, tokens: tokens.slice(from) }])
        close(rest as Float32Array, from, `after ${from} shared tokens`)
        shared.close({ keep: false })
        await batched(scored, tokens, close)
      } finally {
        await scored.release()
      }
    },
  )

  if (kind === 'webgpu') return

  it.each(names)('%s: greedy tokens, alone and in a batch', async (name) => {
    const { tokens, greedy, checkpoint } = await openParityCase(name, root)
    const engine = await openEngine(checkpoint, {
      device,
      contextLength: 128,
      maxSequences: 2,
      cacheTokens: 400,
      cacheFormat: 'f32',
      chunkSize: 24,
      pageSize: 16,
    })
    try {
      const ask = (prompt: readonly number[], maxTokens: number) =>
        engine.generate({ prompt, maxTokens, sampling: { temperature: 0 }, ignoreEos: true }).result
      const [first, other] = await Promise.all([
        ask(tokens, greedy.length),
        ask([...tokens, ...greedy.slice(0, 5)], greedy.length - 5),
      ])
      expect(first?.tokens, name).toEqual(greedy)
      expect(other?.tokens, `${name}, from its own words`).toEqual(greedy.slice(5))
    } finally {
      await engine.close()
    }
  })

  it('falcon-alibi: the recorded logits with twice the slopes', async (context) => {
    if (root !== 'architectures') context.skip(absent)
    const recorded = await openParityCase('falcon-alibi', root)
    const { tokens, checkpoint } = recorded
    const layers = checkpoint.spec.layers.map((layer) => ({
      ...layer,
      attention: { ...layer.attention, alibiSlopes: (layer.attention.alibiSlopes ?? []).map((slope) => 2 * slope) },
    }))
    const twice = { ...checkpoint, spec: { ...checkpoint.spec, layers } }
    const options = { device, contextLength: 128, pageSize: 16, maxSequences: 4, cacheFormat: 'f32' } as const
    const scored = await openScored(await openParts(twice, options, 'generate'))
    try {
      const sequence = scored.cache.open([])
      const [got] = await runTokens(scored, [{ sequence, tokens }])
      closeTo('falcon-alibi', recorded)(got as Float32Array, 0, 'in one piece')
      sequence.close({ keep: false })
    } finally {
      await scored.release()
    }
  })
})
