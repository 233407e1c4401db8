import { mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { openParts } from '../../src/llm/open-parts.ts'
import { exportSafetensors } from '../../src/model/export/export-safetensors.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { movingAverage } from '../../src/train/averaging/moving-average.ts'
import type { BatchSource } from '../../src/train/data/batch.ts'
import { createTrainableDecoder, type TrainableDecoder } from '../../src/train/decoder/trainable-decoder.ts'
import { Evaluator } from '../../src/train/evaluator.ts'
import { adamw } from '../../src/train/optimizers/adamw.ts'
import type { ComputeDType } from '../../src/train/precision.ts'
import type { Checkpointing } from '../../src/train/trainable-model.ts'
import { createTrainer, type Trainer } from '../../src/train/trainer.ts'
import type { TrainerOptions } from '../../src/train/trainer-options.ts'
import { runTokens } from '../llm/run-tokens.ts'
import { countingSource, smallSpec } from './small-decoder.ts'

const fault = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'FoveaError', code, message: expect.stringMatching(message) }) as never

let device: Device
const folder = mkdtempSync(join(tmpdir(), 'fovea-train-'))
beforeAll(async () => {
  device = await openDevice('wasm')
})
afterAll(() => {
  device.dispose()
  rmSync(folder, { recursive: true })
})

interface Setup extends Partial<TrainerOptions> {
  precision?: ComputeDType
  checkpointing?: Checkpointing
  layers?: number
}

async function make({ precision = 'f32', checkpointing = 'none', layers = 3, ...options }: Setup = {}) {
  const model = await createTrainableDecoder(device, {
    from: { spec: smallSpec(layers), seed: 7, deviation: 0.1 },
    precision,
    checkpointing,
    rule: ({ shape }) => ({ weightDecay: shape.length > 1 ? 0.1 : 0 }),
  })
  const source = options.source ?? countingSource()
  const common = { device, model, source, optimizer: adamw(), learningRate: 0.01 }
  const trainer = await createTrainer({ ...common, ...options }).catch((error) => {
    model.dispose()
    throw error
  })
  return { model, trainer, source }
}

async function steps(trainer: Trainer, count: number): Promise<number[]> {
  const losses: number[] = []
  for (let i = 0; i < count; i++) losses.push((await trainer.step()).loss)
  return losses
}

/** All weights, bit for bit. */
async function weights({ parameters }: TrainableDecoder): Promise<string> {
  const all = await Promise.all(parameters.groups.map(({ weight }) => weight.readBytes()))
  return all.map((bytes) => Buffer.from(bytes).toString('base64')).join()
}

function free({ trainer, model }: { trainer: Trainer; model: TrainableDecoder }): void {
  trainer.dispose()
  model.dispose()
}

describe('a run that was saved', () => {
  const averaging = movingAverage({ decay: 0.9, switchEvery: 4 })
  it.each<{ name: string; documents: boolean; setup: Setup }>([
    { name: 'f32, documents', documents: true, setup: {} },
    {
      name: 'f16, two batches a step, averaged',
      documents: false,
      setup: { precision: 'f16', accumulate: 2, averaging },
    },
  ])('goes on bit for bit: $name', async ({ name, documents, setup }) => {
    const place = join(folder, name.slice(0, 3))
    const again = () => make({ ...setup, source: countingSource({ documents }) })
    const whole = await again()
    const losses = await steps(whole.trainer, 3)
    // steps overlap without a difference
    losses.push(...(await Promise.all([1, 2, 3].map(async () => (await whole.trainer.step()).loss))))
    const first = await again()
    expect(await steps(first.trainer, 3)).toEqual(losses.slice(0, 3))
    await first.trainer.save(place)
    free(first)
    const second = await again()
    await second.trainer.resume(place)
    expect(second.trainer.steps).toBe(3)
    expect(await steps(second.trainer, 3)).toEqual(losses.slice(3))
    expect(await weights(second.model)).toBe(await weights(whole.model))
    free(whole)
    free(second)
  })

  it.each([2, 3])('goes on bit for bit with longer rows behind step 2: saved after step %i', async (saved) => {
    const place = join(folder, `stages-${saved}`)
    const stages = () => [
      { source: countingSource({ length: 8 }), accumulate: 2, until: 2 },
      { source: countingSource({ documents: true }) },
    ]
    const again = () => make({ source: stages(), averaging })
    const whole = await again()
    const results = await Promise.all([1, 2, 3, 4].map(() => whole.trainer.step()))
    expect(results.map(({ tokens }) => tokens)).toEqual([32, 32, 48, 48])
    const first = await again()
    await steps(first.trainer, saved)
    await first.trainer.save(place)
    free(first)
    const second = await again()
    await second.trainer.resume(place)
    expect(await steps(second.trainer, 4 - saved)).toEqual(results.slice(saved).map(({ loss }) => loss))
    expect(await weights(second.model)).toBe(await weights(whole.model))
    free(whole)
    free(second)
  })

  it('is refused with what is wrong', async () => {
    const place = join(folder, 'other')
    const run = await make()
    await expect(run.trainer.resume(place)).rejects.toThrow(fault('io', /other\/training.safetensors/))
    await steps(run.trainer, 1)
    await run.trainer.save(place)
    const deeper = await make({ layers: 2 })
    await expect(deeper.trainer.resume(place)).rejects.toThrow(
      fault('format', /another configuration: model.layers is 3 there and 2 here/),
    )
    const before = await weights(deeper.model)
    const file = join(place, 'training.safetensors')
    truncateSync(file, readFileSync(file).byteLength - 100)
    await expect(run.trainer.resume(place)).rejects.toThrow(
      fault('format', /100 bytes beyond the file, which is cut short/),
    )
    expect(await weights(deeper.model)).toBe(before)
    // a failed attempt ends nothing
    await steps(run.trainer, 1)
    free(run)
    free(deeper)
  })
})

describe('steps', () => {
  it('learn, with any precision nearly alike, and evaluation says so', async () => {
    const ends: Record<string, number> = {}
    for (const precision of ['f32', 'f16', 'bf16'] as const) {
      const run = await make({ precision })
      const evaluator = await Evaluator.create({ device, model: run.model, shape: { batch: 3, length: 20 } })
      const held = () => countingSource({ batch: 3, length: 20, seed: 99 })
      const before = await evaluator.run(held(), 2)
      expect(before.loss).toBeGreaterThan(3.5)
      const losses = await steps(run.trainer, 40)
      expect(losses.at(-1)).toBeLessThan(2.8)
      const after = await evaluator.run(held(), 2)
      expect(after.loss).toBeLessThan(2.8)
      expect(after.accuracy).toBeGreaterThan(before.accuracy + 0.15)
      ends[precision] = losses[9] as number
      evaluator.dispose()
      free(run)
    }
    expect(Math.abs((ends.f16 as number) - (ends.f32 as number))).toBeLessThan(0.02)
    expect(Math.abs((ends.bf16 as number) - (ends.f32 as number))).toBeLessThan(0.1)
  })

  it.each(['f32', 'f16'] as const)(
    'take gradients that do not depend on what activations are kept: %s',
    async (precision) => {
      const outcomes = []
      for (const checkpointing of ['none', 'layer', 'sqrt'] as const) {
        const run = await make({ precision, checkpointing, layers: 5, source: countingSource({ documents: true }) })
        const losses = await steps(run.trainer, 2)
        outcomes.push({ losses, weights: await weights(run.model), bytes: run.trainer.bytes.activations })
        free(run)
      }
      const [none, layer, sqrt] = outcomes
      expect(layer?.losses).toEqual(none?.losses)
      expect(layer?.weights).toBe(none?.weights)
      expect(sqrt?.weights).toBe(none?.weights)
      expect(layer?.bytes).toBeLessThan(0.6 * (none?.bytes ?? 0))
      expect(sqrt?.bytes).toBeLessThan(none?.bytes ?? 0)
    },
  )

  it('of two batches of one row are steps of one batch of two', async () => {
    const whole = countingSource()
    const halves: BatchSource & { pending: unknown[] } = {
      pending: [],
      batch: 1,
      length: 24,
      next() {
        if (this.pending.length === 0) {
          const { inputs, targets } = whole.next()
          this.pending = [0, 24].map((at) => ({
            inputs: inputs.slice(at, at + 24),
            targets: targets.slice(at, at + 24),
          }))
        }
        return this.pending.shift() as never
      },
      state: () => whole.state(),
      restore(state) {
        whole.restore(state)
        this.pending = []
      },
    }
    const [one, two] = [await make(), await make({ source: halves, accumulate: 2 })]
    const [first, second] = [await steps(one.trainer, 3), await steps(two.trainer, 3)]
    for (const [i, loss] of first.entries()) expect(Math.abs(loss - (second[i] as number))).toBeLessThan(1e-5)
    free(one)
    free(two)
  })

  it('end with the loss that is no number, and keep what was saved', async () => {
    const place = join(folder, 'nan')
    const run = await make()
    await steps(run.trainer, 1)
    await run.trainer.save(place)
    const kept = readFileSync(join(place, 'training.safetensors'))
    run.model.parameters.write('finalNorm', new Float32Array(32).fill(Number.NaN))
    await expect(steps(run.trainer, 3)).rejects.toThrow(fault('argument', /loss of step 2 is NaN/))
    await expect(run.trainer.step()).rejects.toThrow(/loss of step 2 is NaN/)
    await expect(run.trainer.save(place)).rejects.toThrow(/loss of step/)
    expect(readFileSync(join(place, 'training.safetensors')).equals(kept)).toBe(true)
    free(run)
  })

  it('skip what overflows, halve the scale and go on', async () => {
    const run = await make({ precision: 'f16' })
    const source = countingSource()
    const first = await run.trainer.step()
    expect([first.skipped, first.lossScale]).toEqual([false, 2 ** 15])
    // weights so large that scaled gradients leave f16
    const name = 'tokenEmbedding'
    const was = await run.model.parameters.read(name)
    run.model.parameters.write(
      name,
      was.map((w) => w * 2e3),
    )
    const before = await weights(run.model)
    const second = await run.trainer.step()
    expect([second.skipped, Number.isFinite(second.loss)]).toEqual([true, true])
    expect(await weights(run.model)).toBe(before)
    await run.trainer.step()
    expect((await run.trainer.step()).lossScale).toBeLessThan(2 ** 15)
    expect(source.batch).toBe(2)
    free(run)
  })

  it('that do not fit are refused before anything is allocated, with what would fit', async () => {
    const run = await make({ layers: 4, source: countingSource({ batch: 2 }) })
    const total = Object.values(run.trainer.bytes).reduce((sum, bytes) => sum + bytes, 0)
    free(run)
    const before = device.memory.allocated
    const limited = (memoryLimit: number) => make({ layers: 4, source: countingSource({ batch: 2 }), memoryLimit })
    free(await limited(total))
    await expect(limited(total - 1)).rejects.toThrow(
      fault(
        'memory',
        /^createTrainer: steps of 2 · 24 tokens need .* MB \(parameters .* MB; checkpointing sqrt would fit/,
      ),
    )
    await expect(limited(0.75 * total)).rejects.toThrow(
      fault('memory', /(checkpointing layer|batches of 1, accumulate 2.*) would fit/),
    )
    await expect(limited(1000)).rejects.toThrow(
      fault('memory', /even batches of 1, accumulate 2 and checkpointing layer would need/),
    )
    expect(device.memory.allocated).toBe(before)
  })

  it('give a model that is exported, opened, run and trained on', async () => {
    const run = await make()
    await steps(run.trainer, 5)
    const place = join(folder, 'model')
    await exportSafetensors(run.model.checkpoint(), place)
    const checkpoint = await openCheckpoint(place)
    const again = await createTrainableDecoder(device, { from: checkpoint })
    for (const name of run.model.parameters.names)
      expect(await again.parameters.read(name), name).toEqual(await run.model.parameters.read(name))
    // the engine's own decoder says the same of the next token
    const evaluate = async (model: TrainableDecoder) => {
      const evaluator = await Evaluator.create({ device, model, shape: { batch: 1, length: 20 } })
      const { loss, count } = await evaluator.run(countingSource({ batch: 1, length: 20 }), 1)
      evaluator.dispose()
      return loss * count
    }
    const sum = await evaluate(again)
    expect(sum).toBe(await evaluate(run.model))
    const { inputs, targets } = countingSource({ batch: 1, length: 20 }).next()
    const parts = await openParts(checkpoint, { device, contextLength: 64, cacheFormat: 'f32' }, 'score')
    const sequence = parts.cache.open([])
    const [logits] = await runTokens(parts, [{ sequence, tokens: [...inputs] }])
    const rows = logits as Float32Array
    let exact = 0
    for (const [i, target] of targets.entries()) {
      if (target < 0) continue
      const row = rows.subarray(i * 61, (i + 1) * 61)
      exact += Math.log(row.reduce((total, x) => total + Math.exp(x), 0)) - (row[target] as number)
    }
    expect(Math.abs(sum - exact)).toBeLessThan(1e-3)
    await parts.release()
    again.dispose()
    free(run)
  })

  it('refuse tokens that the model has not, and stop by a signal', async () => {
    const source = countingSource()
    const stop = new AbortController()
    const run = await make({
      signal: stop.signal,
      source: { ...source, next: () => ({ ...source.next(), inputs: new Int32Array(48).fill(61) }) },
    })
    await expect(run.trainer.step()).rejects.toThrow(fault('argument', /inputs\[0\] is 61.*vocabulary of 61/))
    stop.abort()
    await expect(run.trainer.step()).rejects.toThrow(fault('cancelled', /given up after 0 steps/))
    free(run)
    await expect(make({ source: countingSource({ length: 65 }) })).rejects.toThrow(
      fault('capacity', /65 tokens.*64 positions/),
    )
  })
})
