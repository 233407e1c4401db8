import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { smallSpec } from '../../../test/train/small-decoder.ts'
import { openDevice } from '../../device/index.ts'
import { exportSafetensors } from '../../model/export/export-safetensors.ts'
import { openCheckpoint } from '../../model/open-checkpoint.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { readTrainConfig } from '../config/read-config.ts'
import { createTrainableDecoder } from '../decoder/trainable-decoder.ts'
import { runTraining } from '../run/run-training.ts'
import { loadPeft } from './peft-files.ts'

it('a run with adapters leaves the merged model and the adapters', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fovea-lora-run-'))
  const device = await openDevice('wasm', { wasm: { threads: 2 } })
  try {
    const base = join(folder, 'base')
    const fresh = await createTrainableDecoder(device, { from: { spec: smallSpec(1), seed: 3, deviation: 0.2 } })
    await exportSafetensors(fresh.checkpoint(), base)
    fresh.dispose()
    const config = {
      model: base,
      data: { task: 'copying', vocabSize: 32, items: 4 },
      length: 12,
      batch: 2,
      steps: 4,
      lora: { rank: 2, targets: ['o_proj', 'mlp.gate'] },
      averaging: { decay: 0.5, switchEvery: 2 },
      optimizer: { name: 'adamw', learningRate: 0.05 },
      evaluate: { every: 4, batches: 1 },
    }
    expect(() => readTrainConfig({ ...config, model: { model_type: 'llama' } })).toThrow(/lora: adapters need a model/)
    const out = join(folder, 'run')
    const { finished } = await runTraining({ device, config: readTrainConfig(config), folder: out })
    expect(finished).toBe(true)

    const adapterConfig = JSON.parse(await readFile(join(out, 'adapter', 'adapter_config.json'), 'utf8'))
    expect(adapterConfig).toMatchObject({
      r: 2,
      base_model_name_or_path: base,
      target_modules: ['o_proj', 'gate_proj'],
    })
    const [merged, before] = [await openCheckpoint(join(out, 'model')), await openCheckpoint(base)]
    const again = await loadPeft(device, join(out, 'adapter'), { from: before })
    const exported = again.checkpoint()
    for (const [name, isChanged] of [
      ['layers.0.attention.output', true],
      ['layers.0.mlp.gate', true],
      ['layers.0.mlp.up', false],
    ] as const) {
      const numbers = async (of: typeof merged) => [...dequantizeRows(await of.matrix(name))]
      const [ofRun, ofAdapter, ofBase] = await Promise.all([merged, exported, before].map(numbers))
      expect(ofRun, name).toEqual(ofAdapter)
      expect(
        ofRun?.some((v, i) => v !== ofBase?.[i]),
        name,
      ).toBe(isChanged)
    }
    again.dispose()
    await merged.close()
    await before.close()
  } finally {
    device.dispose()
    await rm(folder, { recursive: true })
  }
})
