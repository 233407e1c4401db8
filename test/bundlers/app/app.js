// What a user of the package writes, bundled without configuration: attention, a model that writes, a step of training.
import { openDevice } from 'fovea'
import { attention } from 'fovea/attention'
import { openEngine } from 'fovea/llm'
import { causal } from 'fovea/masks'
import { bytesSource, openCheckpointFromSources, openFile } from 'fovea/model'
import { adamw, batchesOf, createTrainableDecoder, createTrainer, decoderSpec, textRows, tokenArray } from 'fovea/train'

/** Opens a device and attends; what goes wrong is told by its code and message. */
export async function attend(kind, options) {
  try {
    const device = await openDevice(kind, options)
    const shape = [1, 2, 1, 2]
    const [query, key, value] = [
      [1, 0, 0, 1],
      [1, 0, 0, 1],
      [1, 2, 3, 4],
    ].map((numbers) => device.tensor(numbers, shape))
    const { output } = await attention(device, { query, key, value, maskMod: causal })
    const attended = [...(await output.read())]
    const { kind: found, info } = device
    device.dispose()
    return { kind: found, attended, threads: info.threads, notes: info.notes }
  } catch ({ code, message }) {
    return { code, message }
  }
}

export async function generate(model, prompt) {
  const response = await fetch(model)
  const checkpoint = await openCheckpointFromSources(bytesSource(model, await response.arrayBuffer()))
  const device = await openDevice('wasm')
  const engine = await openEngine(checkpoint, { device, contextLength: 128, maxSequences: 1, chunkSize: 32 })
  const { text } = await engine.generate({ prompt, maxTokens: 8, sampling: { temperature: 0 } }).result
  await engine.close()
  device.dispose()
  return text
}

/** The losses of a few steps. */
export async function train(steps) {
  const device = await openDevice('wasm')
  const spec = decoderSpec({
    model_type: 'llama',
    hidden_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 48,
    vocab_size: 64,
    max_position_embeddings: 32,
  })
  const model = await createTrainableDecoder(device, { from: { spec, seed: 1, deviation: 0.1 } })
  const tokens = tokenArray([Int32Array.from({ length: 400 }, (_, i) => (7 * i) % 64)], 64)
  const source = batchesOf(textRows({ tokens, length: 32 }), 4)
  const trainer = await createTrainer({ device, model, source, optimizer: adamw(), learningRate: 0.01 })
  const losses = []
  for (let step = 0; step < steps; step++) losses.push((await trainer.step()).loss)
  trainer.dispose()
  model.dispose()
  device.dispose()
  return losses
}

/** Something that only Node does. */
export const openPath = (path) => openFile(path).catch(({ code, message }) => ({ code, message }))

globalThis.fovea = { attend, generate, train, openPath }
