import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDevice } from '../device/index.ts'
import { adaptedCheckpoint } from '../model/adapters/adapted-checkpoint.ts'
import { exportGguf } from '../model/export/export-gguf.ts'
import { writeSafetensors } from '../model/files/write-safetensors.ts'
import { openCheckpoint } from '../model/open-checkpoint.ts'
import { dequantizeRows } from '../nn/block-formats/matrix-values.ts'
import { openEngine } from './open-engine.ts'
import { preparedCheckpoint } from './open-parts.ts'
import { planEngine } from './plan-engine.ts'

const shipped = fileURLToPath(new URL('../../models/books-recall-16m.gguf', import.meta.url))
const layer = 'layers.2.attention.query'
const module = 'base_model.model.model.layers.2.self_attn.q_proj'
const small = { contextLength: 128, maxSequences: 1, chunkSize: 64 } as const
const [rank, alpha] = [4, 32]
let folder = ''
let adapter = ''

const factor = (length: number, seed: number) => Float32Array.from({ length }, (_, i) => Math.sin(seed + i * 1.7) * 0.1)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-load-'))
  adapter = join(folder, 'adapter')
  await mkdir(adapter)
  const checkpoint = await openCheckpoint(shipped)
  const { rows, cols } = checkpoint.matrixInfo(layer)
  await checkpoint.close()
  const tensor = (which: string, shape: readonly number[], values: Float32Array) => ({
    name: `${module}.lora_${which}.weight`,
    dtype: 'f32' as const,
    shape,
    read: async () => new Uint8Array(values.buffer),
  })
  await writeSafetensors(join(adapter, 'adapter_model.safetensors'), [
    tensor('A', [rank, cols], factor(rank * cols, 1)),
    tensor('B', [rows, rank], factor(rows * rank, 2)),
  ])
  const config = { peft_type: 'LORA', r: rank, lora_alpha: alpha, target_modules: ['q_proj'] }
  await writeFile(join(adapter, 'adapter_config.json'), JSON.stringify(config))
})
afterAll(() => rm(folder, { recursive: true }))

describe('weights', () => {
  it('are quantised while loading to what a file in that dtype holds, and take what the plan says', async () => {
    const path = join(folder, 'q4.gguf')
    const whole = await openCheckpoint(shipped)
    await exportGguf(whole, path, { dtype: 'q4_0' })
    await whole.close()
    const [written, loaded] = [await openCheckpoint(path), await preparedCheckpoint(shipped, { weights: 'q4_0' })]
    for (const name of ['tokenEmbedding', 'layers.0.mlp.down', layer]) {
      expect(loaded.matrixInfo(name)).toEqual(written.matrixInfo(name))
      expect(Buffer.compare((await loaded.matrix(name)).bytes, (await written.matrix(name)).bytes)).toBe(0)
    }
    expect(loaded.fingerprint).not.toBe(written.fingerprint)
    await written.close()
    const device = await openDevice('wasm', { wasm: { threads: 1 } })
    const plan = planEngine(device, loaded, { ...small, weights: 'q4_0' }).memory
    await loaded.close()
    const before = device.memory.allocated
    const engine = await openEngine(shipped, { ...small, weights: 'q4_0', device })
    expect(engine.memory.weights).toBe(plan.weights)
    const taken = device.memory.allocated - before
    const fileEngine = await openEngine(path, { ...small, device })
    expect(device.memory.allocated - before - taken).toBe(taken)
    expect(engine.memory.weights).toBe(fileEngine.memory.weights)
    const request = { prompt: [5, 6, 7, 8], maxTokens: 8, ignoreEos: true, sampling: { temperature: 0 } }
    const answers = await Promise.all([engine, fileEngine].map((each) => each.generate(request).result))
    expect(answers[0]?.tokens).toEqual(answers[1]?.tokens)
    await engine.close()
    await fileEngine.close()
    device.dispose()
  }, 120_000)

  it('are refused where they are no such dtype', async () => {
    await expect(openEngine(shipped, { weights: 'q2_k' as 'q4_0' })).rejects.toMatchObject({
      code: 'argument',
      message: expect.stringMatching(/weights.*q8_0.*q4_0/),
    })
    await expect(openEngine(shipped, { adapters: adapter as never })).rejects.toMatchObject({ code: 'argument' })
  })
})

describe('adapters', () => {
  it('are added to the matrices that they are for, as PEFT scales them', async () => {
    const plain = await openCheckpoint(shipped)
    const adapted = await adaptedCheckpoint(await openCheckpoint(shipped), [adapter])
    const { rows, cols } = plain.matrixInfo(layer)
    const [base, got] = [dequantizeRows(await plain.matrix(layer)), dequantizeRows(await adapted.matrix(layer))]
    const [a, b] = [factor(rank * cols, 1), factor(rows * rank, 2)]
    let [worst, size, moved] = [0, 0, 0]
    for (let row = 0; row < rows; row++)
      for (let k = 0; k < cols; k++) {
        let update = 0
        for (let r = 0; r < rank; r++) update += b[row * rank + r]! * a[r * cols + k]!
        const wanted = base[row * cols + k]! + (alpha / rank) * update
        size = Math.max(size, Math.abs(wanted))
        moved = Math.max(moved, Math.abs(wanted - base[row * cols + k]!))
        worst = Math.max(worst, Math.abs(got[row * cols + k]! - wanted))
      }
    // half a step of Q8_0 of the block with the largest value
    expect(worst).toBeLessThan(size / 250)
    expect(moved).toBeGreaterThan(10 * worst)
    expect(await adapted.matrix('layers.0.mlp.down')).toEqual(await plain.matrix('layers.0.mlp.down'))
    expect(adapted.fingerprint).not.toBe(plain.fingerprint)
    await adapted.close()
    await plain.close()
  })

  it('change what is said, stay in the plan, and are refused where they do not fit', async () => {
    const request = { prompt: [5, 6, 7, 8], maxTokens: 8, ignoreEos: true, sampling: { temperature: 0 } }
    const device = await openDevice('wasm', { wasm: { threads: 1 } })
    const engine = await openEngine(shipped, { ...small, weights: 'q4_0', adapters: [adapter], device })
    const loaded = await preparedCheckpoint(shipped, { weights: 'q4_0', adapters: [adapter] })
    expect(planEngine(device, loaded, small).memory).toEqual(engine.memory)
    await loaded.close()
    expect((await engine.generate(request).result).tokens).toHaveLength(8)
    await engine.close()
    device.dispose()
    await expect(openEngine(shipped, { adapters: [join(folder, 'nowhere')] })).rejects.toMatchObject({ code: 'io' })
    await writeFile(join(adapter, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA', r: 3, lora_alpha: 1 }))
    await expect(openEngine(shipped, { adapters: [adapter] })).rejects.toMatchObject({
      code: 'format',
      message: expect.stringMatching(/lora_A\.weight must be \[3, 384\]/),
    })
  }, 120_000)
})
