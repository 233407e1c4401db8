import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { openEngine } from '../../src/llm/open-engine.ts'
import { exportGguf } from '../../src/model/export/export-gguf.ts'
import { openFile } from '../../src/model/files/open-file.ts'
import { openSafetensors } from '../../src/model/files/safetensors.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { letters } from './letters.ts'
import { askLlamaCpp, hasLlamaCpp, type JudgeJob } from './llama-cpp.ts'

const shared = fileURLToPath(new URL('../../../shared', import.meta.url))
const books = join(shared, 'models/books-16m')
const shipped = fileURLToPath(new URL('../../models/books-recall-16m.gguf', import.meta.url))
/** of the shipped model in f32, by Hugging Face transformers */
const recorded = fileURLToPath(new URL('../llm/books-recall-16m.json', import.meta.url))
const parity = join(shared, 'golden/hf')

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-llama-cpp-'))
})
afterAll(() => rm(folder, { recursive: true }))

function needs(context: TestContext, path: string): void {
  if (!hasLlamaCpp())
    context.skip('node-llama-cpp is not installed: npm --prefix test/peers ci --ignore-scripts --omit=optional')
  if (!existsSync(path)) context.skip(`not there: ../shared${path.slice(shared.length)}`)
}

/** The positions at which llama.cpp's most likely token is another one. */
const differences = (ours: readonly number[], theirs: readonly number[]) =>
  ours.flatMap((token, i) => (token === theirs[i] ? [] : [i]))

describe('a model of books', () => {
  interface Golden {
    readonly prompt: string
    readonly ids: readonly number[]
    readonly argmax: readonly number[]
    readonly greedy: readonly number[]
  }

  it('in F16 gives the recorded tokens, and cuts text as its tokenizer.json does', {
    timeout: 300_000,
  }, async (context) => {
    needs(context, books)
    const golden = JSON.parse(await readFile(join(books, 'golden.json'), 'utf8')) as Golden
    const checkpoint = await openCheckpoint(books)
    const text = `${golden.prompt}\nIn 1851, said he: "It's 3 o'clock!" <|user|>  ümläut\t—\u3000日本 🐋 12345`
    const path = join(folder, 'books-f16.gguf')
    await exportGguf(checkpoint, path, { dtype: 'f16' })
    const [judged] = await askLlamaCpp([{ path, ids: golden.ids, count: golden.greedy.length, text }])
    expect(judged?.greedy).toEqual(golden.greedy)
    expect(differences(golden.argmax, judged?.argmax ?? [])).toEqual([])
    expect(judged?.textIds.length).toBeGreaterThan(golden.ids.length)
    // without special tokens: "<|user|>" is text to llama.cpp here
    const plain = text.split('<|user|>').map((part) => checkpoint.tokenizer.encode(part, { special: false }))
    expect(judged?.textIds.slice(0, plain[0]?.length)).toEqual(plain[0])
    expect(judged?.textIds.slice(-(plain[1]?.length ?? 0))).toEqual(plain[1])
    await checkpoint.close()
  })

  it('in Q8_0, as it is shipped, gives the tokens that fovea generates from it', {
    timeout: 300_000,
  }, async (context) => {
    needs(context, shipped)
    const golden = JSON.parse(await readFile(recorded, 'utf8')) as Golden
    const engine = await openEngine(shipped, { device: 'wasm', contextLength: 512, maxSequences: 1 })
    const generation = engine.generate({
      prompt: golden.ids,
      maxTokens: golden.greedy.length,
      ignoreEos: true,
      sampling: { temperature: 0 },
    })
    const { tokens } = await generation.result
    await engine.close()

    // llama.cpp rounds activations to 8 bits where weights are Q8_0: the weights as fovea reads them, in f32
    const widenedPath = join(folder, 'books-widened.gguf')
    const checkpoint = await openCheckpoint(shipped)
    await exportGguf(checkpoint, widenedPath, { dtype: 'f32' })
    await checkpoint.close()
    const job = { ids: golden.ids, count: golden.greedy.length }
    const [q8, widened] = await askLlamaCpp([
      { ...job, path: shipped },
      { ...job, path: widenedPath },
    ])
    expect(tokens).toEqual(widened?.greedy)
    // and the blocks as llama.cpp reads them: tokens change only where two are nearly as likely
    const changed = differences(q8?.argmax ?? [], widened?.argmax ?? [])
    expect(changed.length).toBeLessThanOrEqual(0.03 * golden.ids.length)
    for (const i of changed) expect(widened?.margins[i]).toBeLessThan(0.3)
    expect(differences(golden.argmax, widened?.argmax ?? []).length).toBeLessThanOrEqual(0.02 * golden.ids.length)
  })
})

describe('an architecture of each kind', () => {
  // llama.cpp reads Mistral as Llama and sees beyond the window
  const windowed = 'mistral-window'

  it('gives the recorded tokens', { timeout: 300_000 }, async (context) => {
    needs(context, parity)
    const names = (await readdir(parity)).filter((name) => name !== windowed)
    const recorded = await Promise.all(names.map((name) => readGolden(join(parity, name))))
    const jobs: JudgeJob[] = []
    for (const [i, name] of names.entries()) {
      const checkpoint = await openCheckpoint(join(parity, name))
      const path = join(folder, `${i}.gguf`)
      // llama.cpp looks for Phi's own tokens where the name says that it is Phi
      await exportGguf({ ...checkpoint, tokenizer: letters(checkpoint) }, path, { dtype: 'f32', name: 'parity' })
      await checkpoint.close()
      jobs.push({ path, ids: recorded[i]?.ids ?? [], count: 24 })
    }
    const judged = await askLlamaCpp(jobs)
    expect(names.length).toBeGreaterThanOrEqual(11)
    for (const [i, name] of names.entries()) {
      expect(judged[i]?.greedy, name).toEqual(recorded[i]?.greedy)
      const changed = differences(recorded[i]?.argmax ?? [], judged[i]?.argmax ?? [])
      // one of Gemma 2's is a tie: 0.0009 apart in logits from −2.6 to 2.6
      for (const position of changed) expect(judged[i]?.margins[position], `${name}, ${position}`).toBeLessThan(2e-3)
    }
  })
})

async function readGolden(where: string) {
  const table = await openSafetensors(await openFile(join(where, 'golden.safetensors')))
  const words = async (name: string) => {
    const { dtype } = table.get(name)
    const { buffer } = (await table.get(name).read()).slice()
    return Array.from(dtype === 'i64' ? new BigInt64Array(buffer) : new Int32Array(buffer), Number)
  }
  const logits = new Float32Array((await table.get('logits').read()).slice().buffer)
  const [tokens = 0, vocab = 0] = table.get('logits').shape
  const argmax = Array.from({ length: tokens }, (_, i) => {
    const row = logits.subarray(i * vocab, (i + 1) * vocab)
    return row.indexOf(Math.max(...row))
  })
  const golden = { ids: await words('input_ids'), greedy: await words('greedy'), argmax }
  await table.close()
  return golden
}
