import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openDevice } from '../../src/device/index.ts'
import { evaluateText } from '../../src/llm/evaluate-text.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { openParts } from '../../src/llm/open-parts.ts'
import { runTokens } from './run-tokens.ts'

const shared = new URL('../../../shared/', import.meta.url)
const folder = new URL('models/books-16m', shared).pathname
const shipped = new URL('../../models/books-recall-16m.gguf', import.meta.url).pathname
const recorded = new URL('./books-recall-16m.json', import.meta.url).pathname
const book = new URL('texts/moby-dick.txt', shared)

interface Golden {
  readonly ids: readonly number[] // [256]
  readonly logits_last?: readonly number[] // [8192]
  readonly argmax: readonly number[] // [256]
  readonly greedy: readonly number[] // [48]
  readonly nll_4096_mean: number
}

/**
 * books-16m in bf16, and the shipped model, of which Hugging Face transformers had the f32 weights: what 8 bits may cost in
 * nats per token and in the share of equal most likely tokens.
 */
const models = [
  { name: 'books-16m in bf16', model: folder, nats: 1e-3, agree: 1, greedy: true, file: `${folder}/golden.json` },
  { name: 'the shipped model in Q8_0', model: shipped, nats: 5e-3, agree: 0.97, greedy: false, file: recorded },
] as const

describe.each(models)('$name', ({ model, nats, agree, greedy, file }) => {
  if (!existsSync(file)) {
    it('gives what was recorded', (context) => context.skip('hardware: ../shared/models is not beside the project'))
    return
  }
  const golden = JSON.parse(readFileSync(file, 'utf8')) as Golden

  it('has the recorded logits and the most likely token at every position', async () => {
    const device = await openDevice('wasm')
    const parts = await openParts(model, { device, contextLength: 512, chunkSize: 256, cacheFormat: 'f32' }, 'score')
    const sequence = parts.cache.open([])
    const [logits] = await runTokens(parts, [{ sequence, tokens: golden.ids }])
    const width = parts.checkpoint.spec.vocabSize
    const row = (i: number) => (logits as Float32Array).subarray(i * width, (i + 1) * width)
    const found = golden.ids.map((_, i) => row(i).indexOf(row(i).reduce((most, x) => Math.max(most, x))))
    const same = found.filter((token, i) => token === golden.argmax[i]).length
    expect(same / golden.ids.length).toBeGreaterThanOrEqual(agree)
    if (greedy)
      golden.logits_last?.forEach((x, token) => {
        expect(Math.abs((row(golden.ids.length - 1)[token] as number) - x)).toBeLessThan(2e-3)
      })
    await parts.release()
    device.dispose()
  })

  if (greedy)
    it('continues as recorded', async () => {
      const engine = await openEngine(model, { device: 'wasm', contextLength: 512, maxSequences: 1 })
      const { tokens } = await engine.generate({
        prompt: golden.ids,
        maxTokens: 48,
        ignoreEos: true,
        sampling: { temperature: 0 },
      }).result
      expect(tokens).toEqual(golden.greedy)
      await engine.close()
    })

  it('foretells 4,096 tokens as well', async (context) => {
    if (!existsSync(book)) context.skip('hardware: ../shared/texts is not beside the project')
    const text = readFileSync(book, 'utf8')
    const from = text.indexOf('Call me Ishmael')
    const { tokens, nats: found } = await evaluateText(model, text.slice(from, from + 30_000), {
      device: 'wasm',
      contextLength: 4096,
      maxTokens: 4095,
    })
    expect(tokens).toBe(4095)
    expect(Math.abs(found - golden.nll_4096_mean)).toBeLessThan(nats)
  })
})
