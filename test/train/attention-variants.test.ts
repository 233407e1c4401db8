import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { attentionVariant, attentionVariants } from '../../src/train/attention-variants.ts'
import { philox } from '../../src/train/counter-random.ts'
import { createTrainableDecoder } from '../../src/train/decoder/trainable-decoder.ts'
import { Evaluator } from '../../src/train/evaluator.ts'
import { adamw } from '../../src/train/optimizers/adamw.ts'
import { StepBatch } from '../../src/train/step-batch.ts'
import { crossEntropy } from '../../src/train/tape/cross-entropy.ts'
import { Tape } from '../../src/train/tape/tape.ts'
import { createTrainer } from '../../src/train/trainer.ts'
import { Workspace } from '../../src/train/workspace.ts'
import { countingSource, smallSpec } from './small-decoder.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('wasm')
})
afterAll(() => device.dispose())

describe('variants of attention', () => {
  it.each(Object.keys(attentionVariants))('%s: a few steps lower the loss', async (name) => {
    const attention = attentionVariant(name)
    // linear attention has no groups of heads
    const spec = smallSpec(1, attention.gateDivisor === undefined ? 2 : 4)
    const model = await createTrainableDecoder(device, { from: { spec, seed: 3, deviation: 0.1 }, attention })
    const trainer = await createTrainer({
      device,
      model,
      source: countingSource(),
      optimizer: adamw(),
      learningRate: 0.01,
    })
    const losses: number[] = []
    for (let i = 0; i < 12; i++) losses.push((await trainer.step()).loss)
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) - 0.2)
    trainer.dispose()
    model.dispose()
  })

  it('see what they say: a window hides what lies before it, documents what lies in others', async () => {
    const losses = async (variant: string, first: number, documents: boolean) => {
      const model = await createTrainableDecoder(device, {
        from: { spec: smallSpec(1), seed: 3, deviation: 0.3 },
        attention: attentionVariant(variant),
      })
      const evaluator = await Evaluator.create({ device, model, shape: { batch: 1, length: 12 }, documents })
      const inputs = Int32Array.from({ length: 12 }, (_, i) => (i === 0 ? first : i))
      // only the last token is foretold: nearer ones do not count
      const targets = new Int32Array(12).fill(-1).with(11, 5)
      const batch = {
        inputs,
        targets,
        ...(documents && { documents: Int32Array.from(inputs, (_, i) => Number(i > 6)) }),
      }
      const source = { batch: 1, length: 12, next: () => batch, state: () => null, restore() {} }
      const { loss } = await evaluator.run(source, 1)
      evaluator.dispose()
      model.dispose()
      return loss
    }
    expect(await losses('full', 20, false)).not.toBe(await losses('full', 40, false))
    expect(await losses('window:12', 20, false)).not.toBe(await losses('window:12', 40, false))
    expect(await losses('window:11', 20, false)).toBe(await losses('window:11', 40, false))
    expect(await losses('full', 20, true)).toBe(await losses('full', 40, true))
  })

  it('gated-linear-attention: the loss falls along gradients as they say', async () => {
    // values in float64, rounded to f32 where they are stored
    const exact = await openDevice('interpret')
    const spec = smallSpec(1, 4)
    const attention = attentionVariant('gated-linear-attention:2')
    const model = await createTrainableDecoder(exact, { from: { spec, seed: 3, deviation: 0.3 }, attention })
    const workspace = new Workspace(exact)
    const batch = new StepBatch(exact, { shape: { batch: 2, length: 9 }, model, documents: false })
    batch.write(countingSource({ batch: 2, length: 9 }).next())
    const prepared = await model.prepare(batch.shape, batch.inputs)
    const [losses, factor] = [exact.zeros([18]), exact.tensor([1], [1])]
    const loss = async (recording: boolean) => {
      const tape = new Tape(workspace, { recording })
      const hidden = prepared.hidden(tape)
      crossEntropy(tape, hidden, { head: prepared.head, targets: batch.targets, factor, losses })
      if (recording) tape.backward()
      else tape.finish()
      return ((await losses.read()) as Float32Array).reduce((sum, value) => sum + value, 0)
    }
    await loss(true)
    for (const name of ['gate', 'gate.bias', 'query', 'key', 'value'].map((part) => `layers.0.attention.${part}`)) {
      const gradient = (await model.parameters.get(name).gradient?.read()) as Float32Array
      const [start, size] = [await model.parameters.read(name), Math.hypot(...gradient)]
      expect(size).toBeGreaterThan(1e-2)
      const along = async (step: number) => {
        const moved = start.map((weight, i) => weight + (step * (gradient[i] as number)) / size)
        model.parameters.write(name, moved)
        return loss(false)
      }
      const slope = ((await along(0.01)) - (await along(-0.01))) / 0.02
      model.parameters.write(name, start)
      expect(Math.abs(slope / size - 1), `${name}: ${slope} and ${size}`).toBeLessThan(5e-3)
    }
    exact.dispose()
  })

  it('are named, with a value or without', () => {
    expect(attentionVariant('window:8').name).toBe('window:8')
    for (const [text, message] of [
      ['flash', /no attention "flash"; known are full, window, alibi/],
      ['window:0', /"window:0": the value of window is a number of at least 1/],
      ['window:2.5', /whole number of keys/],
      ['alibi:3', /alibi takes no value/],
      ['toString', /no attention "toString"/],
    ] as const)
      expect(() => attentionVariant(text)).toThrow(message)
  })
})

it('initial weights come from Philox 4×32-10 as its authors have it', () => {
  const hex = (words: Uint32Array) => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ')
  expect(hex(philox([0, 0], [0, 0, 0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8')
  expect(hex(philox([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]))).toBe(
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  )
})
