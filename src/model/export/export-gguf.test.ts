import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { silu } from '../../nn/index.ts'
import { weightShapes } from '../architectures/weight-shapes.ts'
import type { Checkpoint } from '../checkpoint.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import { openGguf } from '../files/gguf.ts'
import { openFile } from '../files/open-file.ts'
import { openCheckpoint } from '../open-checkpoint.ts'
import { exportGguf } from './export-gguf.ts'
import { specDifference } from './spec-difference.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const shared = join(root, '../shared')
const parity = join(shared, 'golden/hf')

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-export-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function openOrSkip(context: TestContext, where: string): Promise<Checkpoint> {
  return openCheckpoint(where).catch(() => context.skip(`not there: ../shared${where.slice(shared.length)}`))
}

/** All weights as f32, Gemma's 1 added to norms: what the model computes with. */
async function weightsOf(checkpoint: Checkpoint): Promise<Map<string, Float32Array>> {
  const { spec } = checkpoint
  const values = new Map<string, Float32Array>()
  for (const [name, shape] of weightShapes(spec))
    if (shape.length === 2) values.set(name, dequantizeRows(await checkpoint.matrix(name)))
    else {
      const isNorm = /norm/i.test(name) && !name.endsWith('.bias')
      values.set(
        name,
        (await checkpoint.vector(name)).map((v) => v + (isNorm ? spec.finalNorm.offset : 0)),
      )
    }
  return values
}

describe('exportGguf', () => {
  it('gives back every parity model: its specification and, in f32, its weights', async (context) => {
    const names = await readdir(parity).catch(() => context.skip('not there: ../shared/golden/hf'))
    for (const name of names) {
      const checkpoint = await openCheckpoint(join(parity, name))
      const path = join(folder, 'parity.gguf')
      await exportGguf(checkpoint, path, { dtype: 'f32' })
      const again = await openCheckpoint(path)
      expect(specDifference(again.spec, checkpoint.spec), name).toBeUndefined()
      const [before, after] = [await weightsOf(checkpoint), await weightsOf(again)]
      expect([...after.keys()]).toEqual([...before.keys()])
      for (const [weight, values] of before)
        expect(Buffer.compare(bytesOf(values), bytesOf(after.get(weight)!)), `${name}: ${weight}`).toBe(0)
      await again.close()
      await checkpoint.close()
    }
    expect(names.length).toBe(12)
  })

  it('writes the shipped model as it was read, byte for byte', async () => {
    const shipped = join(root, 'models/books-recall-16m.gguf')
    const checkpoint = await openCheckpoint(shipped)
    const path = join(folder, 'again.gguf')
    await exportGguf(checkpoint, path, { dtype: 'q8_0', name: 'books-recall-16m' })
    await checkpoint.close()
    expect(Buffer.compare(await readFile(path), await readFile(shipped))).toBe(0)
  })

  it('stores what was asked for, vectors in f32, the logits of Q4_0 in Q8_0, and what it is told to', async () => {
    const checkpoint = await openCheckpoint(join(root, 'models/books-recall-16m.gguf'))
    const path = join(folder, 'dtypes.gguf')
    const seen: number[] = []
    await exportGguf(checkpoint, path, {
      dtype: 'q4_0',
      tensorDType: (tensor, chosen) => (tensor.endsWith('ffn_down.weight') ? 'f16' : chosen),
      onProgress: (done, all) => seen.push(done / all),
    })
    const table = await openGguf(await openFile(path))
    const dtypes = new Map(table.names().map((name) => [name, table.get(name).dtype]))
    expect(dtypes.get('blk.3.attn_q.weight')).toBe('q4_0')
    expect(dtypes.get('blk.3.ffn_down.weight')).toBe('f16')
    expect(dtypes.get('blk.3.attn_norm.weight')).toBe('f32')
    expect(dtypes.get('token_embd.weight')).toBe('q8_0')
    expect(dtypes.has('output.weight')).toBe(false)
    expect(table.metadata.get('general.file_type')).toBe(2)
    expect(seen.length).toBe(dtypes.size)
    expect(seen.at(-1)).toBe(1)
    // as it is stored: nothing is quantised twice
    const embedding = await table.get('token_embd.weight').read()
    expect(Buffer.compare(embedding, (await checkpoint.matrix('tokenEmbedding')).bytes)).toBe(0)
    await table.close()
    await checkpoint.close()
  })

  it('keeps within half a step of the weights, rows of queries and keys reordered and back', async () => {
    const checkpoint = await openCheckpoint(join(root, 'models/books-recall-16m.gguf'))
    const path = join(folder, 'f16.gguf')
    const chosen = new Set(['blk.0.attn_q.weight', 'blk.7.attn_k.weight', 'blk.3.ffn_down.weight'])
    await exportGguf(checkpoint, path, { tensorDType: (tensor, stored) => (chosen.has(tensor) ? 'f16' : stored) })
    const again = await openCheckpoint(path)
    for (const name of ['layers.0.attention.query', 'layers.7.attention.key', 'layers.3.mlp.down']) {
      const [before, after] = [await checkpoint.matrix(name), await again.matrix(name)].map(dequantizeRows)
      let worst = 0
      before?.forEach((v, i) => {
        worst = Math.max(worst, Math.abs(v - after![i]!) - Math.abs(v) * 2 ** -11)
      })
      expect(worst).toBeLessThan(1e-7)
    }
    await again.close()
    await checkpoint.close()
  })

  it('refuses what llama.cpp computes otherwise, and leaves the old file', async (context) => {
    const path = join(folder, 'refused.gguf')
    await writeFile(path, 'old')
    const gemma = await openOrSkip(context, join(parity, 'gemma2'))
    const changed = (change: (layer: DecoderSpec['layers'][number]) => DecoderSpec['layers'][number]): Checkpoint => ({
      ...gemma,
      spec: { ...gemma.spec, layers: gemma.spec.layers.map(change) },
    })
    const cases: [Checkpoint, string][] = [
      [changed((l) => ({ ...l, mlp: { ...l.mlp, activation: silu } })), 'another activation (layer 0)'],
      [changed((l) => ({ ...l, attention: { ...l.attention, window: 16 } })), 'no sliding window (layer 1)'],
      [changed((l) => ({ ...l, attention: { ...l.attention, softCap: null } })), 'always cap of scores (layer 0)'],
      [changed((l) => ({ ...l, attention: { ...l.attention, scale: 1 } })), 'scores scaled by 16^-1/2 (layer 0)'],
      [changed((l) => ({ ...l, attention: { ...l.attention, qkvBias: true } })), 'no biases (layer 0)'],
      [{ ...gemma, spec: { ...gemma.spec, logits: { ...gemma.spec.logits, softCap: null } } }, 'always cap of logits'],
    ]
    for (const [checkpoint, message] of cases) {
      const error = await exportGguf(checkpoint, path, { dtype: 'f16' }).catch((e: unknown) => e)
      expect(error).toMatchObject({ name: 'FoveaError', code: 'unsupported' })
      expect((error as Error).message).toContain(message)
      expect(await readFile(path, 'utf8')).toBe('old')
    }
    await gemma.close()
  })

  it('refuses weights that the dtype cannot hold, and leaves no part of a file', async () => {
    const checkpoint = await openCheckpoint(join(root, 'models/books-recall-16m.gguf'))
    const broken: Checkpoint = {
      ...checkpoint,
      matrix: async (name) => {
        const matrix = await checkpoint.matrix(name)
        if (name !== 'layers.5.mlp.up') return matrix
        const values = dequantizeRows(matrix).fill(Number.NaN, 7, 8)
        return { ...matrix, dtype: 'f32', bytes: bytesOf(values) }
      },
    }
    const before = await readdir(folder)
    const error = await exportGguf(broken, join(folder, 'nan.gguf')).catch((e: unknown) => e)
    expect(error).toMatchObject({ name: 'FoveaError', code: 'argument' })
    expect((error as Error).message).toContain('NaN in row 0, column 7')
    expect(await readdir(folder)).toEqual(before)
    await checkpoint.close()
  })
})

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
