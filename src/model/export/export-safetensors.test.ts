import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { weightShapes } from '../architectures/weight-shapes.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { openFile } from '../files/open-file.ts'
import { openSafetensors } from '../files/safetensors.ts'
import { openCheckpoint } from '../open-checkpoint.ts'
import { exportGguf } from './export-gguf.ts'
import { exportSafetensors } from './export-safetensors.ts'
import { specDifference } from './spec-difference.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const parity = join(root, '../shared/golden/hf')
const books = join(root, '../shared/models/books-16m')

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-safetensors-export-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Names of weights that differ: Gemma's 1 may be in them or not. */
async function differentWeights(one: Checkpoint, other: Checkpoint): Promise<string[]> {
  const different: string[] = []
  for (const [name, shape] of weightShapes(one.spec)) {
    const isNorm = /norm/i.test(name) && !name.endsWith('.bias')
    const [a, b] = await Promise.all(
      [one, other].map(async (checkpoint) => {
        if (shape.length === 2) return dequantizeRows(await checkpoint.matrix(name))
        const offset = isNorm ? checkpoint.spec.finalNorm.offset : 0
        return (await checkpoint.vector(name)).map((v) => v + offset)
      }),
    )
    if (a?.length !== b?.length || a?.some((v, i) => v !== b?.[i])) different.push(name)
  }
  return different
}

describe('exportSafetensors', () => {
  it('gives back every parity model, tensor by tensor as the original file has them', async (context) => {
    const names = await readdir(parity).catch(() => context.skip('not there: ../shared/golden/hf'))
    for (const name of names) {
      const checkpoint = await openCheckpoint(join(parity, name))
      const where = join(folder, name)
      await exportSafetensors(checkpoint, where)
      const again = await openCheckpoint(where)
      expect(specDifference(again.spec, checkpoint.spec), name).toBeUndefined()
      expect(await differentWeights(checkpoint, again), name).toEqual([])
      // the same tensors in the same shapes, so that transformers reads them too
      const [original, written] = await Promise.all(
        [join(parity, name), where].map(async (at) => openSafetensors(await openFile(join(at, 'model.safetensors')))),
      )
      for (const tensor of written!.names()) {
        expect(original!.get(tensor).shape, tensor).toEqual(written!.get(tensor).shape)
        expect(Buffer.compare(await original!.get(tensor).read(), await written!.get(tensor).read()), tensor).toBe(0)
      }
      for (const opened of [original!, written!, again, checkpoint]) await opened.close()
    }
    expect(names.length).toBe(12)
  })

  it('gives back a model that went through GGUF', async (context) => {
    const names = await readdir(parity).catch(() => context.skip('not there: ../shared/golden/hf'))
    for (const name of names) {
      const checkpoint = await openCheckpoint(join(parity, name))
      const path = join(folder, 'through.gguf')
      await exportGguf(checkpoint, path, { dtype: 'f32' })
      const gguf = await openCheckpoint(path)
      await exportSafetensors(gguf, join(folder, 'through'))
      const again = await openCheckpoint(join(folder, 'through'))
      expect(specDifference(again.spec, checkpoint.spec), name).toBeUndefined()
      // Gemma's 1 is added and taken away again, which rounds
      if (!name.startsWith('gemma')) expect(await differentWeights(checkpoint, again), name).toEqual([])
      for (const opened of [again, gguf, checkpoint]) await opened.close()
    }
  })

  it('writes config, tokenizer and template of the shipped model', async () => {
    const checkpoint = await openCheckpoint(join(root, 'models/books-recall-16m.gguf'))
    const where = join(folder, 'books')
    const seen: number[] = []
    await exportSafetensors(checkpoint, where, { dtype: 'bf16', onProgress: (done, all) => seen.push(done / all) })
    expect((await readdir(where)).sort()).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    expect(seen.at(-1)).toBe(1)
    expect(JSON.parse(await readFile(join(where, 'config.json'), 'utf8'))).toMatchObject({
      architectures: ['Qwen3ForCausalLM'],
      model_type: 'qwen3',
      dtype: 'bfloat16',
      rope_parameters: { rope_type: 'default', rope_theta: 500_000 },
    })
    const again = await openCheckpoint(where)
    expect(again.matrixInfo('layers.0.mlp.up').dtype).toBe('bf16')
    const text = 'In 1851: "Call me Ishmael."<|end|> \n ümläut'
    expect(again.tokenizer.encode(text)).toEqual(checkpoint.tokenizer.encode(text))
    expect(again.tokenizer.chatTemplate).toBe(checkpoint.tokenizer.chatTemplate)
    expect([again.tokenizer.bosToken, again.tokenizer.eosTokens]).toEqual([0, [1]])
    await again.close()
    await checkpoint.close()
  })

  it('widens nothing that it need not', async (context) => {
    const checkpoint = await openCheckpoint(books).catch(() => context.skip('not there: ../shared/models/books-16m'))
    const where = join(folder, 'same')
    await exportSafetensors(checkpoint, where)
    const [original, written] = await Promise.all(
      [books, where].map((at) => openFile(join(at, 'model.safetensors')).then(openSafetensors)),
    )
    expect(written!.names().length).toBe(74)
    for (const name of written!.names())
      expect(Buffer.compare(await original!.get(name).read(), await written!.get(name).read()), name).toBe(0)
    for (const opened of [original!, written!, checkpoint]) await opened.close()
  })

  it('refuses what a configuration cannot say', async (context) => {
    const llama = await openCheckpoint(join(parity, 'llama-gqa')).catch(() =>
      context.skip('not there: ../shared/golden/hf'),
    )
    const layers = llama.spec.layers.map((layer) => ({ ...layer, attention: { ...layer.attention, window: 8 } }))
    const error = await exportSafetensors({ ...llama, spec: { ...llama.spec, layers } }, join(folder, 'none')).catch(
      (e: unknown) => e,
    )
    expect(error).toMatchObject({ name: 'FoveaError', code: 'unsupported' })
    expect((error as Error).message).toContain('no config.json of llama says layers.0.attention.window')
    expect(await readdir(folder)).not.toContain('none')
    await llama.close()
  })
})
