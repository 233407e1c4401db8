import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { randomNumbers } from '../../src/train/data/random-numbers.ts'
import {
  type AttentionVariant,
  adamw,
  attentionVariant,
  type BatchSource,
  type Checkpointing,
  type ComputeDType,
  chooseOptimizers,
  createLoraDecoder,
  createTrainableDecoder,
  createTrainer,
  Evaluator,
  movingAverage,
  optimizerDefaults,
  savePeft,
  Tape,
  type TrainableDecoder,
  type Trainer,
  type TrainerOptions,
  type VariantParameter,
  Workspace,
} from '../../src/train/index.ts'
import { StepBatch } from '../../src/train/step-batch.ts'
import { learned } from './own-attention.ts'
import { countingSource, smallSpec } from './small-decoder.ts'

const fault = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'FoveaError', code, message: expect.stringMatching(message) }) as never

let device: Device
const folder = mkdtempSync(join(tmpdir(), 'fovea-variant-'))
beforeAll(async () => {
  device = await openDevice('wasm')
})
afterAll(() => {
  device.dispose()
  rmSync(folder, { recursive: true })
})

const values = (count: number, by: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(by * (i + 1)))

/** Every way to read a parameter: by head, as one number, by key, by distance and head. */
const everyShape: AttentionVariant<'heat' | 'shift' | 'keys' | 'distances'> = {
  name: 'every shape',
  parameters: {
    heat: { shape: ({ numHeads }) => [numHeads], initial: (_, index) => 1 + 0.3 * index },
    shift: { shape: [], initial: 0.7 },
    keys: { shape: [12], initial: values(12, 3) },
    distances: { shape: ({ numHeads }) => [numHeads, 12], initial: ({ numHeads }) => values(numHeads * 12, 1) },
  },
  change: (_layer, _constant, { heat, shift, keys, distances }) => ({
    scoreMod: ({ score, head, q, k }) =>
      score.mul(heat.at(head)).add(distances.at(head, q.sub(k)).mul(keys.at(k).add(shift.at()))),
  }),
}

describe('the gradient of a parameter', () => {
  const windowed = () => {
    const spec = smallSpec(3)
    const [first] = spec.layers as [(typeof spec.layers)[0]]
    // layers 0 and 2 share a kernel, layer 1 has one of its own
    const inner = { ...first, attention: { ...first.attention, window: 4 } }
    return { ...spec, layers: [first, inner, first] }
  }
  it('is what the loss falls along', { timeout: 180_000 }, async () => {
    // values in float64, rounded to f32 where they are stored
    const exact = await openDevice('interpret')
    const model = await createTrainableDecoder(exact, {
      from: { spec: windowed(), seed: 3, deviation: 0.3 },
      attention: everyShape,
    })
    const workspace = new Workspace(exact)
    const batch = new StepBatch(exact, { shape: { batch: 2, length: 12 }, model, documents: true })
    batch.write(countingSource({ batch: 2, length: 12, documents: true }).next())
    const prepared = await model.prepare(batch.shape, batch.inputs)
    const [losses, factor] = [exact.zeros([24]), exact.tensor([1], [1])]
    const loss = async (recording: boolean) => {
      const tape = new Tape(workspace, { recording })
      tape.crossEntropy(prepared.hidden(tape), { head: prepared.head, targets: batch.targets, factor, losses })
      if (recording) tape.backward()
      else tape.finish()
      return ((await losses.read()) as Float32Array).reduce((sum, value) => sum + value, 0)
    }
    await loss(true)
    for (const layer of [0, 1, 2])
      for (const short of Object.keys(everyShape.parameters ?? {})) {
        const name = `layers.${layer}.attention.${short}`
        const gradient = (await model.parameters.get(name).gradient?.read()) as Float32Array
        const [start, size] = [await model.parameters.read(name), Math.hypot(...gradient)]
        expect(size, name).toBeGreaterThan(1e-3)
        const along = async (step: number) => {
          const moved = start.map((weight, i) => weight + (step * (gradient[i] as number)) / size)
          model.parameters.write(name, moved)
          return loss(false)
        }
        const slope = ((await along(0.02)) - (await along(-0.02))) / 0.04
        model.parameters.write(name, start)
        expect(Math.abs(slope / size - 1), `${name}: ${slope} and ${size}`).toBeLessThan(5e-3)
      }
    exact.dispose()
  })
})

interface Setup extends Partial<TrainerOptions> {
  attention?: AttentionVariant
  precision?: ComputeDType
  checkpointing?: Checkpointing
  on?: Device
  layers?: number
}

async function make({ attention = everyShape, on = device, precision = 'f32', layers = 3, ...options }: Setup = {}) {
  const { checkpointing = 'none', ...rest } = options
  const model = await createTrainableDecoder(on, {
    from: { spec: smallSpec(layers), seed: 7, deviation: 0.1 },
    ...{ attention, precision, checkpointing },
    rule: ({ shape }) => ({ weightDecay: shape.length > 1 ? 0.1 : 0 }),
  })
  const source: TrainerOptions['source'] = rest.source ?? countingSource({ length: 12 })
  const trainer = await createTrainer({
    ...{ device: on, model, source, optimizer: adamw(), learningRate: 0.01 },
    ...rest,
  })
  return { model, trainer }
}

async function steps(trainer: Trainer, count: number): Promise<number[]> {
  const losses: number[] = []
  for (let i = 0; i < count; i++) losses.push((await trainer.step()).loss)
  return losses
}

/** All weights, bit for bit. */
async function weights({ parameters }: Pick<TrainableDecoder, 'parameters'>): Promise<string> {
  const all = await Promise.all(parameters.groups.map(({ weight }) => weight.readBytes()))
  return all.map((bytes) => Buffer.from(bytes).toString('base64')).join()
}

function free({ trainer, model }: { trainer: Trainer; model: { dispose(): void } }): void {
  trainer.dispose()
  model.dispose()
}

/** Rows of random tokens, in which each is to be followed by the one before it: only attention knows that. */
function tokensBefore(): BatchSource {
  const [batch, length] = [4, 24]
  let step = 0
  return {
    batch,
    length,
    next() {
      const random = randomNumbers(5, step++)
      const inputs = Int32Array.from({ length: batch * length }, () => random.below(61))
      return { inputs, targets: inputs.map((_, i) => (i % length === 0 ? -1 : (inputs[i - 1] as number))) }
    },
    state: () => step,
    restore(state) {
      step = state as number
    },
  }
}

describe('a run', () => {
  it('moves a learned temperature, and comes lower than one that is held', async () => {
    const ends: number[] = []
    for (const learningRateFactor of [1, 0]) {
      const temperature = { shape: [4], initial: 0.2, update: { learningRateFactor } }
      const attention = { ...learned, parameters: { temperature } }
      const run = await make({ attention, layers: 1, source: tokensBefore() })
      const losses = await steps(run.trainer, 120)
      ends.push(losses.slice(-20).reduce((sum, loss) => sum + loss / 20, 0))
      const temperatures = await run.model.parameters.read('layers.0.attention.temperature')
      for (const value of temperatures)
        if (learningRateFactor === 1) expect(Math.abs(value - 0.2)).toBeGreaterThan(0.05)
        else expect(value).toBe(Math.fround(0.2))
      free(run)
    }
    const [moved, held] = ends as [number, number]
    expect(moved).toBeLessThan(held - 0.3)
  })

  it('leaves tables of parameters to the optimiser of vectors, decayed where they say so', async () => {
    const chosen = chooseOptimizers({ name: 'muon' })
    const update = { weightDecay: 0.5, learningRateFactor: 3 }
    const distances = { ...(everyShape.parameters?.distances as VariantParameter), update }
    const attention = { ...everyShape, parameters: { ...everyShape.parameters, distances } } as AttentionVariant
    const model = await createTrainableDecoder(device, {
      ...{ from: { spec: smallSpec(1), seed: 7 }, attention, precision: 'f16', rule: chosen.rule },
    })
    const groupOf = (name: string) => {
      const group = model.parameters.groups.find(({ parameters }) => parameters.some((one) => one.name === name))
      return group && [group.optimizer, group.weightDecay, group.learningRateFactor, group.compute !== null]
    }
    const factor = optimizerDefaults.others.learningRate / chosen.learningRate
    expect(groupOf('layers.0.attention.query')).toEqual(['muon', 0.1, 1, true])
    expect(groupOf('layers.0.attention.heat')).toEqual(['adamw', 0, factor, false])
    expect(groupOf('layers.0.attention.distances')).toEqual(['adamw', 0.5, 3, false])
    const source = countingSource({ length: 12 })
    const common = { device, model, source, optimizer: chosen.optimizers, learningRate: chosen.learningRate }
    const trainer = await createTrainer(common)
    await steps(trainer, 2)
    free({ trainer, model })
  })

  it('has parameters for rows of any length that its stages bring', async () => {
    const source = [{ source: countingSource({ length: 8 }), until: 2 }, { source: countingSource({ length: 12 }) }]
    const run = await make({ source, layers: 2 })
    const losses = await steps(run.trainer, 5)
    expect(losses.every(Number.isFinite)).toBe(true)
    const last = await run.model.parameters.read('layers.0.attention.keys')
    // the first steps read 8 of them, the last ones all
    const first = values(12, 3)
    for (const [i, value] of last.entries()) expect(value, `${i}`).not.toBe(first[i])
    free(run)
  })

  it('learns a parameter where all else is frozen', async () => {
    const model = await createTrainableDecoder(device, {
      from: { spec: smallSpec(2), seed: 7, deviation: 0.3 },
      attention: everyShape,
      rule: ({ name }) => (name.endsWith('.distances') ? {} : 'frozen'),
    })
    expect(model.parameters.size).toBe(2 * 4 * 12)
    const batch = countingSource({ batch: 2, length: 12 }).next()
    const source: BatchSource = { batch: 2, length: 12, next: () => batch, state: () => null, restore() {} }
    const common = { device, model, source, optimizer: adamw(), learningRate: 0.1 }
    const trainer = await createTrainer(common)
    const losses = await steps(trainer, 10)
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) - 0.05)
    free({ trainer, model })
  })

  it('that was saved goes on bit for bit, in f16, accumulated and averaged', async () => {
    const place = join(folder, 'run')
    const averaging = movingAverage({ decay: 0.9, switchEvery: 4 })
    const again = () =>
      make({ precision: 'f16', accumulate: 2, averaging, source: countingSource({ length: 12, documents: true }) })
    const whole = await again()
    const losses = await steps(whole.trainer, 6)
    const first = await again()
    expect(await steps(first.trainer, 3)).toEqual(losses.slice(0, 3))
    await first.trainer.save(place)
    free(first)
    const second = await again()
    await second.trainer.resume(place)
    expect(await steps(second.trainer, 3)).toEqual(losses.slice(3))
    expect(await weights(second.model)).toBe(await weights(whole.model))
    free(whole)
    free(second)
    const other = { ...everyShape, parameters: { ...everyShape.parameters, keys: { shape: [13], initial: 0 } } }
    const larger = await make({ attention: other as AttentionVariant, precision: 'f16', averaging })
    await expect(larger.trainer.resume(place)).rejects.toThrow(
      fault('format', /layers.0.attention.keys \[12\].* there/),
    )
    free(larger)
  })

  it('has gradients that do not depend on precision much, nor on what activations are kept', async () => {
    const outcomes: { losses: number[]; weights: string; heat: Float32Array }[] = []
    for (const [precision, checkpointing] of [
      ['f32', 'none'],
      ['f32', 'sqrt'],
      ['f16', 'none'],
      ['f16', 'layer'],
    ] as const) {
      const run = await make({ precision, checkpointing })
      const losses = await steps(run.trainer, 3)
      const heat = await run.model.parameters.read('layers.1.attention.heat')
      outcomes.push({ losses, weights: await weights(run.model), heat })
      free(run)
    }
    const [plain, sqrt, narrow, layer] = outcomes
    expect(sqrt).toEqual(plain)
    expect(layer).toEqual(narrow)
    for (const [i, value] of (narrow?.heat ?? []).entries())
      expect(Math.abs(value - (plain?.heat[i] as number))).toBeLessThan(5e-3)
  })

  it('takes what its plan says, and one kernel and its scratch for all layers that attend alike', async () => {
    const bytes = []
    for (const layers of [1, 3]) {
      const fresh = await openDevice('wasm', { wasm: { threads: 1 } })
      const setup = { on: fresh, layers, checkpointing: 'layer' } as const
      const run = await make(setup)
      const total = Object.values(run.trainer.bytes).reduce((sum, part) => sum + part, 0)
      // the device rounds each tensor up
      const rounded = fresh.memory.allocated - total
      expect(rounded).toBeGreaterThanOrEqual(0)
      expect(rounded).toBeLessThan(1024)
      bytes.push(run.trainer.bytes)
      free(run)
      expect(fresh.memory.allocated).toBe(0)
      free(await make({ ...setup, memoryLimit: total }))
      await expect(make({ ...setup, memoryLimit: total - 1 })).rejects.toThrow(
        fault('memory', /steps of 2 · 12 tokens/),
      )
      fresh.dispose()
    }
    expect(bytes[1]?.other).toBe(bytes[0]?.other)
  })
})

describe('a model with parameters of its attention', () => {
  it('is not exported, and says what would be lost', async () => {
    const run = await make({ attention: learned, layers: 1 })
    expect(() => run.model.checkpoint()).toThrow(
      fault('unsupported', /^TrainableDecoder.checkpoint: .*layers.0.attention.temperature.*learned temperature/),
    )
    free(run)
  })

  it('is judged with the weights that it has', async () => {
    const model = await createTrainableDecoder(device, {
      from: { spec: smallSpec(2), seed: 7, deviation: 0.3 },
      attention: learned,
    })
    const evaluator = await Evaluator.create({ device, model, shape: { batch: 2, length: 12 } })
    const judge = async () => (await evaluator.run(countingSource({ length: 12 }), 1)).loss
    const before = await judge()
    model.parameters.write('layers.1.attention.temperature', new Float32Array(4).fill(8))
    const after = await judge()
    expect(Math.abs(after - before)).toBeGreaterThan(1e-4)
    evaluator.dispose()
    // a temperature of 8 is a scale of the scores 8 times as large
    const plain = smallSpec(2)
    const [first, second] = plain.layers as [(typeof plain.layers)[0], (typeof plain.layers)[0]]
    const attention = { ...second.attention, scale: 8 * second.attention.scale }
    const scaled = await createTrainableDecoder(device, {
      from: { spec: { ...plain, layers: [first, { ...second, attention }] }, seed: 7, deviation: 0.3 },
    })
    const other = await Evaluator.create({ device, model: scaled, shape: { batch: 2, length: 12 } })
    expect((await other.run(countingSource({ length: 12 }), 1)).loss).toBeCloseTo(after, 5)
    other.dispose()
    scaled.dispose()
    model.dispose()
  })

  it('trains them beside adapters, which are not saved without them', async () => {
    const place = join(folder, 'lora')
    const again = async () => {
      const model = await createLoraDecoder(device, {
        ...{ from: { spec: smallSpec(2), seed: 7, deviation: 0.3 } as never, attention: learned },
        lora: { rank: 2 },
      })
      const source = countingSource({ length: 12 })
      const trainer = await createTrainer({ device, model, source, optimizer: adamw(), learningRate: 0.02 })
      return { model, trainer }
    }
    const whole = await again()
    const name = 'layers.1.attention.temperature'
    expect(whole.model.parameters.names).toContain(name)
    expect(whole.model.base.parameters.size).toBe(2 * 4)
    const losses = await steps(whole.trainer, 4)
    for (const value of await whole.model.parameters.read(name)) expect(Math.abs(value - 1)).toBeGreaterThan(0.01)
    const first = await again()
    await steps(first.trainer, 2)
    await first.trainer.save(place)
    free(first)
    const second = await again()
    await second.trainer.resume(place)
    expect(await steps(second.trainer, 2)).toEqual(losses.slice(2))
    expect(await weights(second.model)).toBe(await weights(whole.model))
    await expect(savePeft(second.model, join(folder, 'peft'))).rejects.toThrow(
      fault('unsupported', /^savePeft: .*temperature/),
    )
    expect(() => second.model.checkpoint()).toThrow(fault('unsupported', /layers.0.attention.temperature/))
    free(whole)
    free(second)
  })

  const heads = ({ numHeads }: { numHeads: number }) => [numHeads]
  const one = { shape: heads, initial: 1 }
  const read: AttentionVariant<'a'>['change'] = (_layer, _constant, { a }) => ({
    scoreMod: ({ score, head }) => score.mul(a.at(head)),
  })
  it.each<[string, object, string, RegExp]>([
    ['a shape that is none', { a: { ...one, shape: [0] } }, 'shape', /shape of layers.0.attention.a .* got \[0\]/],
    ['a shape that is no list', { a: { ...one, shape: 4 } }, 'shape', /list of whole numbers ≥ 1, got 4/],
    ['a shape that a function gives', { a: { ...one, shape: () => [1.5] } }, 'shape', /got \[1.5\]/],
    ['too few values', { a: { ...one, initial: [1, 2] } }, 'shape', /or 4 of them for \[4\], got 2/],
    ['no values', { a: { shape: [4] } }, 'shape', /or 4 of them for \[4\], got 0/],
    ['a value that is no number', { a: { ...one, initial: Number.NaN } }, 'argument', /finite numbers, got NaN/],
    ['an infinite one', { a: { ...one, initial: () => [1, 1, -1 / 0, 1] } }, 'argument', /got -Infinity at 2/],
    ['one too large for f32', { a: { ...one, initial: 1e39 } }, 'argument', /finite numbers, got 1e\+39/],
    ['the name of a weight', { query: one }, 'argument', /has a weight layers.0.attention.query/],
    ['a name that is no word', { 'query.bias': one }, 'argument', /query.bias: a name is letters and digits/],
    ['a field that there is not', { a: { ...one, intial: 2 } }, 'argument', /no field intial.*initial/],
    ['an update that is none', { a: { ...one, update: { weightDecay: -1 } } }, 'argument', /weightDecay must be/],
  ])('is refused: %s', async (_, parameters, code, message) => {
    const before = device.memory.allocated
    const from = { spec: smallSpec(1), seed: 1 }
    const attention = { name: 'mine', parameters: parameters as never, change: read as AttentionVariant['change'] }
    await expect(createTrainableDecoder(device, { from, attention })).rejects.toThrow(fault(code, message))
    expect(device.memory.allocated).toBe(before)
  })

  it('is refused where no gradient would reach them, or reach others', async () => {
    const foreign = await createTrainableDecoder(device, { from: { spec: smallSpec(1), seed: 1 } })
    const { weight } = foreign.parameters.get('finalNorm')
    const variants: [Partial<AttentionVariant<'a'>>, RegExp][] = [
      [{ change: () => ({}) }, /no gradient reaches the parameter a/],
      [
        { change: (_, __, { a }) => ({ maskMod: ({ head }) => a.at(head).gt(0) }) },
        /no gradient reaches the parameter a/,
      ],
      [
        { change: (_, __, { a }) => ({ scoreMod: ({ score, head }) => a.at(head).gt(0).select(score, 0) }) },
        /no gradient reaches the parameter a: scoreMod does not read it, or only where to look or compare/,
      ],
      [
        {
          change: (_, __, { a }) => ({ scoreMod: ({ score, head }) => score.mul(a.at(head)).add(weight.at(head)) }),
        },
        /reads a tensor f32 \[32\] that is not its own.*declare it in parameters/,
      ],
      [
        { parameters: {} as never, change: () => ({ scoreMod: ({ score }) => score.mul(weight.at(0)) }) },
        /not its own/,
      ],
      [{ change: () => ({ scoreMode: 1 }) as never }, /mine changes has no field scoreMode.*scoreMod/],
    ]
    const { allocated } = device.memory
    for (const [variant, message] of variants) {
      const attention = { name: 'mine', parameters: { a: one }, change: read, ...variant } as AttentionVariant
      const model = await createTrainableDecoder(device, { from: { spec: smallSpec(1), seed: 1 }, attention })
      await expect(Evaluator.create({ device, model, shape: { batch: 1, length: 8 } })).rejects.toThrow(
        fault('argument', message),
      )
      model.dispose()
      expect(device.memory.allocated).toBe(allocated)
    }
    foreign.dispose()
    const linear = { name: 'mine', gateDivisor: 16, parameters: { a: one }, change: read as AttentionVariant['change'] }
    const from = { spec: smallSpec(1, 4), seed: 1 }
    await expect(createTrainableDecoder(device, { from, attention: linear })).rejects.toThrow(
      fault('argument', /linear attention reads no parameters, got a/),
    )
    const odd = { ...linear, paramters: {} }
    await expect(createTrainableDecoder(device, { from, attention: odd })).rejects.toThrow(/no field paramters/)
  })
})

it('a gate alone is trained, and so is a norm of queries', async () => {
  const norm = { kind: 'rms', eps: 1e-5, offset: 0, bias: false } as const
  const spec = smallSpec(1, 4)
  const normed = (spec: ReturnType<typeof smallSpec>) => ({
    ...spec,
    layers: spec.layers.map((layer) => ({
      ...layer,
      attention: { ...layer.attention, qkNorm: { norm, over: 'head' as const } },
    })),
  })
  for (const [attention, name, of] of [
    ['gated-linear-attention', 'layers.0.attention.gate', spec],
    ['full', 'layers.0.attention.queryNorm', normed(spec)],
  ] as const) {
    const model = await createTrainableDecoder(device, {
      from: { spec: of, seed: 7, deviation: 0.3 },
      attention: attentionVariant(attention),
      rule: (parameter) => (parameter.name === name ? {} : 'frozen'),
    })
    const source = countingSource({ length: 12 })
    const trainer = await createTrainer({ device, model, source, optimizer: adamw(), learningRate: 0.01 })
    const before = await model.parameters.read(name)
    const { gradientNorm } = await trainer.step()
    expect(gradientNorm, name).toBeGreaterThan(1e-6)
    expect(await model.parameters.read(name)).not.toEqual(before)
    free({ trainer, model })
  }
})

it('SwiftShader takes the same steps as WebAssembly', { timeout: 180_000 }, async () => {
  const gpu = await openDevice('webgpu')
  expect(gpu.info.name.toLowerCase()).toContain('swiftshader')
  const outcomes: { losses: number[]; own: Float32Array[] }[] = []
  for (const on of [device, gpu]) {
    const run = await make({ on, layers: 2, source: countingSource({ length: 12, documents: true }) })
    const losses = await steps(run.trainer, 3)
    const names = Object.keys(everyShape.parameters ?? {}).map((name) => `layers.1.attention.${name}`)
    const own = await Promise.all(names.map((name) => run.model.parameters.read(name)))
    outcomes.push({ losses, own })
    free(run)
  }
  const [here, there] = outcomes
  for (const [i, loss] of (here?.losses ?? []).entries())
    expect(Math.abs(loss - (there?.losses[i] as number))).toBeLessThan(1e-4)
  for (const [i, values] of (here?.own ?? []).entries())
    for (const [at, value] of values.entries())
      expect(Math.abs(value - (there?.own[i]?.[at] as number)), `${i} ${at}`).toBeLessThan(2e-3)
  gpu.dispose()
})

it('docs/training.md has the lines that were run here', () => {
  const [doc, source] = ['../../docs/training.md', './own-attention.ts'].map((path) =>
    readFileSync(new URL(path, import.meta.url), 'utf8'),
  ) as [string, string]
  const lines = source.replace('../../src/train/index.ts', 'fovea/train')
  expect(lines).toContain("from 'fovea/train'")
  expect(doc).toContain(`\`\`\`ts\n${lines}\`\`\`\n`)
})
