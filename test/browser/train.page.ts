// Runs in the page: the built package, by the names that a user writes, trains a small decoder there.
import type { DeviceKind } from '../../src/device/index.ts'

// not by literals, so that types are checked before anything is built
const [devicePath, trainPath]: string[] = ['fovea/device', 'fovea/train']

export interface ObservedTraining {
  readonly device: string
  readonly losses: readonly number[]
  /** bytes of the device when everything was given back */
  readonly left: number
}

/** Trains a layer for a few steps on tokens that follow one another by a rule; the same losses come wherever it runs. */
export async function train(kind: DeviceKind, steps: number): Promise<ObservedTraining> {
  const { openDevice } = (await import(devicePath as string)) as typeof import('../../src/device/index.ts')
  const fovea = (await import(trainPath as string)) as typeof import('../../src/train/index.ts')
  return trainOn(await openDevice(kind), fovea, steps)
}

export async function trainOn(
  device: import('../../src/device/index.ts').Device,
  fovea: Pick<
    typeof import('../../src/train/index.ts'),
    'adamw' | 'batchesOf' | 'createTrainableDecoder' | 'createTrainer' | 'decoderSpec' | 'textRows' | 'tokenArray'
  >,
  steps: number,
): Promise<ObservedTraining> {
  const spec = fovea.decoderSpec({
    model_type: 'llama',
    hidden_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 48,
    vocab_size: 64,
    max_position_embeddings: 32,
  })
  const model = await fovea.createTrainableDecoder(device, { from: { spec, seed: 1, deviation: 0.1 } })
  const tokens = fovea.tokenArray([Int32Array.from({ length: 400 }, (_, i) => (7 * i) % 64)], 64)
  const source = fovea.batchesOf(fovea.textRows({ tokens, length: 32 }), 4)
  const trainer = await fovea.createTrainer({ device, model, source, optimizer: fovea.adamw(), learningRate: 0.01 })
  const losses: number[] = []
  for (let step = 0; step < steps; step++) losses.push((await trainer.step()).loss)
  trainer.dispose()
  model.dispose()
  const observed = { device: device.info.name, losses, left: device.memory.allocated }
  device.dispose()
  return observed
}
