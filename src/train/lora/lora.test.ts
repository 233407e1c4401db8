import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relativeRms } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { type Device, openDevice } from '../../device/index.ts'
import { configFields } from '../../model/architectures/config-fields.ts'
import { gpt2 } from '../../model/architectures/gpt2.ts'
import { llama } from '../../model/architectures/llama.ts'
import { weightShapes } from '../../model/architectures/weight-shapes.ts'
import { openFile } from '../../model/files/open-file.ts'
import { openSafetensors } from '../../model/files/safetensors.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import type { BatchSource } from '../data/batch.ts'
import { Evaluator } from '../evaluator.ts'
import { adamw } from '../optimizers/adamw.ts'
import { createTrainer } from '../trainer.ts'
import { createLoraDecoder } from './lora-decoder.ts'
import { planLora } from './lora-options.ts'
import { loadPeft, savePeft } from './peft-files.ts'

const spec = llama.spec(
  configFields('config.json', {
    model_type: 'llama',
    vocab_size: 29,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    hidden_act: 'silu',
    rope_theta: 10000,
  }),
  {},
)
const from = { spec, seed: 7, deviation: 0.2 }

let device: Device
let folder = ''
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 2 } })
  folder = await mkdtemp(join(tmpdir(), 'fovea-lora-'))
})
afterAll(async () => {
  device.dispose()
  await rm(folder, { recursive: true })
})

/** Rows that count upwards from places drawn anew. */
function counting(length = 12, batch = 2): BatchSource {
  const random = randomNumbers(3)
  return {
    batch,
    length,
    next() {
      const starts = Array.from({ length: batch }, () => Math.floor((random() + 1) * 14))
      const row = (ahead: number) =>
        Int32Array.from(
          { length: batch * length },
          (_, i) => ((starts[Math.floor(i / length)] as number) + (i % length) * 3 + ahead) % 29,
        )
      return { inputs: row(0), targets: row(3) }
    },
    state: () => null,
    restore: () => {},
  }
}

describe('LoraDecoder', () => {
  it('trains adapters over a frozen base, merges, unmerges, exports and comes back from its files', async () => {
    const lora = { rank: 4, alpha: 8, rankStabilised: true, targets: ['q_proj', 'attention.value', 'mlp.down'] }
    const model = await createLoraDecoder(device, { from, lora })
    const { base } = model
    expect(model.plan).toMatchObject({ scale: 4 })
    expect(model.plan.targets.map(({ module }) => module).slice(0, 3)).toEqual([
      'model.layers.0.self_attn.q_proj',
      'model.layers.0.self_attn.v_proj',
      'model.layers.0.mlp.down_proj',
    ])
    expect(base.parameters.groups).toHaveLength(0)
    const weightsOf = async (names = [...weightShapes(spec).keys()]) =>
      new Map(await Promise.all(names.map(async (name) => [name, (await base.parameters.read(name)).slice()] as const)))
    const before = await weightsOf()
    const evaluate = async (of: typeof model | typeof base) => {
      const evaluator = await Evaluator.create({ device, model: of, shape: { batch: 2, length: 12 } })
      const { loss } = await evaluator.run(counting(), 2)
      evaluator.dispose()
      return loss
    }
    const fresh = await evaluate(base)
    // B is zero: nothing is changed yet
    expect(await evaluate(model)).toBe(fresh)

    const trainer = await createTrainer({ device, model, source: counting(), optimizer: adamw(), learningRate: 0.02 })
    for (let step = 0; step < 30; step++) await trainer.step()
    trainer.dispose()
    const trained = await evaluate(model)
    expect(trained).toBeLessThan(0.6 * fresh)
    expect(await weightsOf()).toEqual(before)

    const exported = model.checkpoint()
    model.merge()
    await expect(model.prepare({ batch: 1, length: 4 }, {} as never)).rejects.toThrow(/adapters are merged/)
    expect(Math.abs((await evaluate(base)) - trained)).toBeLessThan(1e-5)
    const merged = await weightsOf()
    model.unmerge()
    const after = await weightsOf()
    for (const [name, shape] of weightShapes(spec)) {
      const expected = merged.get(name) as Float32Array
      const changed = model.plan.targets.some((target) => target.name === name)
      expect(relativeRms(expected, before.get(name) as Float32Array) > 0.01, name).toBe(changed)
      expect(relativeRms(after.get(name) as Float32Array, before.get(name) as Float32Array), name).toBeLessThan(1e-6)
      const values = shape.length === 2 ? dequantizeRows(await exported.matrix(name)) : await exported.vector(name)
      expect(relativeRms(values, expected), name).toBeLessThan(1e-6)
    }

    const where = join(folder, 'adapter')
    await savePeft(model, where, { base: 'a/base' })
    expect(JSON.parse(await readFile(join(where, 'adapter_config.json'), 'utf8'))).toMatchObject({
      peft_type: 'LORA',
      base_model_name_or_path: 'a/base',
      r: 4,
      lora_alpha: 8,
      use_rslora: true,
      target_modules: ['q_proj', 'v_proj', 'down_proj'],
      fan_in_fan_out: false,
    })
    const table = await openSafetensors(await openFile(join(where, 'adapter_model.safetensors')))
    expect(table.get('base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight').shape).toEqual([4, 32])
    expect(table.get('base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight').shape).toEqual([16, 4])
    await table.close()
    const again = await loadPeft(device, where, { from })
    expect({ ...again.plan, targets: new Set(again.plan.targets) }).toEqual({
      ...model.plan,
      targets: new Set(model.plan.targets),
    })
    for (const name of model.parameters.names)
      expect(await again.parameters.read(name)).toEqual(await model.parameters.read(name))
    again.dispose()
    model.dispose()
  })

  it('names what is wrong', async () => {
    expect(() => planLora(spec, { rank: 0 })).toThrow(/lora: rank must be a whole number of at least 1, got 0/)
    expect(() => planLora(spec, { rank: 17 })).toThrow(/rank 17 is more than layers.0.attention.value \[16, 32\] has/)
    expect(() => planLora(spec, { alpha: -1 })).toThrow(/alpha must be a number above 0, got -1/)
    expect(() => planLora(spec, { targets: ['q_proj', 'k_prj', 'fc'] })).toThrow(
      /targets: no linear layer is called k_prj, fc; layers are attention.query, attention.key, /,
    )
    const where = join(folder, 'wrong')
    const model = await createLoraDecoder(device, { from, lora: { targets: ['layers.1.mlp.up'] } })
    await savePeft(model, where)
    const path = join(where, 'adapter_config.json')
    const config = JSON.parse(await readFile(path, 'utf8'))
    expect(config.target_modules).toEqual(['model.layers.1.mlp.up_proj'])
    const load = async (changed: Record<string, unknown>) => {
      await writeFile(path, JSON.stringify({ ...config, ...changed }))
      return loadPeft(device, where, { from })
    }
    await expect(load({ r: 3 })).rejects.toThrow(
      /lora_A.weight must be \[3, 32\] for layers.1.mlp.up and rank 3, got \[8, 32\]/,
    )
    await expect(load({ use_dora: true })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(load({ peft_type: 'IA3' })).rejects.toThrow(/peft_type is "IA3", not LORA/)
    await expect(load({ lora_alpha: 'x' })).rejects.toMatchObject({ code: 'format' })

    // what fails after the adapters were made gives them back
    const weights = join(where, 'adapter_model.safetensors')
    const sound = await readFile(weights)
    const { allocated } = device.memory
    await writeFile(weights, Buffer.from(sound.toString('latin1').replaceAll('"F32"', '"F99"'), 'latin1'))
    await expect(load({})).rejects.toThrow(/lora_A\.weight is F99, which is not read as a weight/)
    expect(device.memory.allocated).toBe(allocated)
    await writeFile(weights, sound)
    await writeFile(path, JSON.stringify(config))
    const shallow = { ...spec, layers: spec.layers.slice(0, 1) }
    await expect(loadPeft(device, where, { from: { ...from, spec: shallow } })).rejects.toThrow(
      /layers.1.mlp.up_proj.lora_[AB].weight is no adapter of a linear layer of this model/,
    )
    model.dispose()

    const fused = gpt2.spec(
      configFields('config.json', {
        model_type: 'gpt2',
        vocab_size: 8,
        n_embd: 8,
        n_head: 2,
        n_layer: 1,
        n_positions: 8,
      }),
      {},
    )
    const queries = await createLoraDecoder(device, { from: { spec: fused, seed: 1 } })
    await expect(savePeft(queries, join(folder, 'fused'))).rejects.toMatchObject({ code: 'unsupported' })
    queries.dispose()
  })
})
