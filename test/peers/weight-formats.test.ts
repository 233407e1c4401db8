import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openEngine } from '../../src/llm/open-engine.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { exportGguf, ggufDTypes } from '../../src/model/export/export-gguf.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { dequantizeRows } from '../../src/nn/block-formats/matrix-values.ts'
import { weightFormats } from '../../src/nn/block-formats/weight-formats.ts'
import type { WeightDType } from '../../src/nn/weight-data.ts'
import { plainBlocks } from '../formats/plain-fit.ts'
import { askLlamaCpp, hasLlamaCpp } from './llama-cpp.ts'

const books = fileURLToPath(new URL('../../../shared/models/books-16m', import.meta.url))
const formats = (Object.keys(weightFormats) as WeightDType[]).filter(
  (dtype) => weightFormats[dtype].ggml && weightFormats[dtype].elements > 1,
)
const tokens = 160
const count = 12

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-formats-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A checkpoint whose matrices are stored as `dtype` where their rows are whole blocks. */
function storedAs(checkpoint: Checkpoint, dtype: WeightDType): Checkpoint {
  const format = weightFormats[dtype]
  const fits = (name: string) => checkpoint.matrixInfo(name).cols % format.elements === 0
  return {
    ...checkpoint,
    matrixInfo: (name) => ({ ...checkpoint.matrixInfo(name), ...(fits(name) && { dtype }) }),
    async matrix(name) {
      const matrix = await checkpoint.matrix(name)
      if (!fits(name) || format.kind === 'plain') return matrix
      return { ...matrix, dtype, bytes: plainBlocks(format, dequantizeRows(matrix)) }
    },
  }
}

it.for(formats)(
  '%s: llama.cpp reads what is written and gives the tokens that fovea gives',
  {
    timeout: 300_000,
  },
  async (dtype, context) => {
    if (!hasLlamaCpp())
      context.skip('node-llama-cpp is not installed: npm --prefix test/peers ci --ignore-scripts --omit=optional')
    if (!existsSync(books)) context.skip('not there: ../shared/models/books-16m')
    const { ids } = JSON.parse(await readFile(join(books, 'golden.json'), 'utf8')) as { ids: readonly number[] }
    const prompt = ids.slice(0, tokens)
    const checkpoint = await openCheckpoint(books)
    const path = join(folder, `${dtype}.gguf`)
    // K blocks of 256 fit the down projections alone, whose rows are 1,024 long
    if (ggufDTypes.includes(dtype)) await exportGguf(checkpoint, path, { dtype })
    else await exportGguf(storedAs(checkpoint, dtype), path)
    await checkpoint.close()

    const written = await openCheckpoint(path)
    expect(written.matrixInfo('layers.0.mlp.down').dtype).toBe(dtype)
    // llama.cpp rounds activations where weights are blocks: the weights as fovea reads them, in f32
    const widenedPath = join(folder, `${dtype}-widened.gguf`)
    await exportGguf(written, widenedPath, { dtype: 'f32' })
    await written.close()
    const engine = await openEngine(path, { device: 'wasm', contextLength: 512, maxSequences: 1 })
    const sampling = { temperature: 0 }
    const ours = await engine.generate({ prompt, maxTokens: count, ignoreEos: true, sampling }).result
    await engine.close()
    const job = { ids: prompt, count }
    const [packed, widened] = await askLlamaCpp([
      { ...job, path },
      { ...job, path: widenedPath },
    ])
    expect(ours.tokens).toEqual(widened?.greedy)
    // and the blocks as llama.cpp reads them: tokens change only where two are nearly as likely
    const changed = prompt.flatMap((_, i) => (packed?.argmax[i] === widened?.argmax[i] ? [] : [i]))
    expect(changed.length).toBeLessThanOrEqual(0.05 * tokens)
    for (const i of changed) expect(widened?.margins[i]).toBeLessThan(0.3)
    for (const file of [path, widenedPath]) await rm(file)
  },
)
