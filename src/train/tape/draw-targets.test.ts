import { expect, it } from 'vitest'
import { openDevice } from '../../device/index.ts'
import { configFields } from '../../model/architectures/config-fields.ts'
import { llama } from '../../model/architectures/llama.ts'
import { settingsRow } from '../../nn/sampling/sampling-settings.ts'
import { createTrainableDecoder } from '../decoder/trainable-decoder.ts'
import { sophia } from '../optimizers/sophia.ts'
import { createTrainer } from '../trainer.ts'
import { Workspace } from '../workspace.ts'
import { drawTargets } from './draw-targets.ts'
import { TapeCore } from './tape-core.ts'

it('draws from the distribution of the logits, where there is a target', async () => {
  const device = await openDevice('wasm', { wasm: { threads: 2 } })
  const [N, V, softCap] = [6000, 5, 2]
  const logits = [0.5, -1, 2, 0, 3]
  const weight = device.tensor(logits, [V, 1])
  const [seeds, targets] = [device.zeros([N, 2], 'u32'), device.zeros([N], 'i32')]
  seeds.write(Uint32Array.from({ length: 2 * N }, (_, i) => (i % 2 ? 3 : i / 2)))
  targets.write(Int32Array.from({ length: N }, (_, n) => (n % 3 === 0 ? -1 : 0)))
  const drawn = device.empty([N], 'i32')
  const tape = new TapeCore(new Workspace(device))
  drawTargets(tape, tape.input(device.tensor(new Float32Array(N).fill(1), [N, 1])), {
    head: { weight: { weight, compute: weight, gradient: null }, bias: null, softCap },
    targets,
    seeds,
    settings: device.tensor(Array.from({ length: N }, () => settingsRow({})).flat(), [N, 8]),
    drawn,
  })
  const got = await drawn.read()
  expect(got.every((id, n) => (n % 3 === 0 ? id === -1 : id >= 0 && id < V))).toBe(true)
  const weights = logits.map((logit) => Math.exp(softCap * Math.tanh(logit / softCap)))
  const all = weights.reduce((sum, w) => sum + w)
  // 99.9 % of draws from the distribution stay below 18.47 with four degrees of freedom
  const chiSquared = weights.reduce((sum, w, id) => {
    const expected = (4000 * w) / all
    return sum + (got.filter((drawnId) => drawnId === id).length - expected) ** 2 / expected
  }, 0)
  expect(chiSquared).toBeLessThan(18.47)
  device.dispose()
})

it('Sophia learns with it, the same way twice', async () => {
  const device = await openDevice('wasm', { wasm: { threads: 2 } })
  const fields = {
    model_type: 'llama',
    vocab_size: 17,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 16,
  }
  const spec = llama.spec(configFields('config.json', fields), {})
  const run = async () => {
    const model = await createTrainableDecoder(device, { from: { spec, seed: 1 } })
    const row = (ahead: number) =>
      Int32Array.from({ length: 32 }, (_, i) => ((i % 16) * 3 + Math.floor(i / 16) + ahead) % 17)
    const source = {
      batch: 2,
      length: 16,
      next: () => ({ inputs: row(0), targets: row(3) }),
      state: () => null,
      restore: () => {},
    }
    const optimizer = sophia({ every: 3 })
    const trainer = await createTrainer({ device, model, source, optimizer, learningRate: 0.01 })
    const losses: number[] = []
    for (let step = 0; step < 16; step++) losses.push((await trainer.step()).loss)
    const weights = await model.parameters.read('layers.0.mlp.up')
    trainer.dispose()
    model.dispose()
    return { losses, weights: weights.slice() }
  }
  const [one, two] = [await run(), await run()]
  expect(one).toEqual(two)
  expect(one.losses.at(-1)).toBeLessThan(0.6 * (one.losses[0] as number))
  device.dispose()
})
