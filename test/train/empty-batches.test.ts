import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import type { BatchSource } from '../../src/train/data/batch.ts'
import { createTrainableDecoder } from '../../src/train/decoder/trainable-decoder.ts'
import { Evaluator } from '../../src/train/evaluator.ts'
import { adamw } from '../../src/train/optimizers/adamw.ts'
import { lion } from '../../src/train/optimizers/lion.ts'
import type { Optimizer } from '../../src/train/optimizers/optimizer.ts'
import { sophia } from '../../src/train/optimizers/sophia.ts'
import type { ComputeDType } from '../../src/train/precision.ts'
import { reportPage } from '../../src/train/report/report-page.ts'
import { createTrainer } from '../../src/train/trainer.ts'
import { countingSource, smallSpec } from './small-decoder.ts'

let device: Device
const folder = mkdtempSync(join(tmpdir(), 'fovea-empty-'))
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 1 } })
})
afterAll(() => {
  device.dispose()
  rmSync(folder, { recursive: true })
})

/** Batches of which some, counted from 0, ask for nothing; `without`: these are left out instead. */
function source(empty: readonly number[], without = false, seed = 1): BatchSource {
  const full = countingSource({ seed })
  let at = 0
  const next = (): ReturnType<BatchSource['next']> => {
    const batch = full.next()
    if (!empty.includes(at++)) return batch
    return without ? next() : { ...batch, targets: batch.targets.map(() => -1) }
  }
  return {
    ...{ ...full, next },
    state: () => [at, full.state()],
    restore(state) {
      at = (state as readonly number[])[0] as number
      full.restore((state as readonly number[])[1] as number)
    },
  }
}

async function trained(
  batches: BatchSource,
  steps: number,
  options: { optimizer?: Optimizer; precision?: ComputeDType; accumulate?: number } = {},
) {
  const { optimizer = adamw(), precision = 'f32', accumulate = 1 } = options
  const model = await createTrainableDecoder(device, {
    from: { spec: smallSpec(1), seed: 7, deviation: 0.1 },
    precision,
    rule: () => ({ weightDecay: 0.1 }),
  })
  const trainer = await createTrainer({ device, model, source: batches, optimizer, learningRate: 0.01, accumulate })
  const results = []
  for (let i = 0; i < steps; i++) results.push(await trainer.step())
  const weights = await Promise.all(model.parameters.groups.map(({ weight }) => weight.read()))
  await trainer.save(join(folder, 'run'))
  trainer.dispose()
  model.dispose()
  return { results, weights: weights.map((values) => values.join()).join() }
}

describe('a step without targets', () => {
  it.each([
    ['between others', [1], 3],
    ['at first', [0], 2],
    ['twice, and last', [1, 2, 4], 5],
  ] as const)('%s: has no loss, and changes nothing', async (_, empty, steps) => {
    const { results, weights } = await trained(source(empty), steps)
    for (const [i, result] of results.entries()) {
      const nothing = (empty as readonly number[]).includes(i)
      expect(result.skipped).toBe(nothing)
      expect(result.targets === 0).toBe(nothing)
      if (nothing) expect([result.loss, result.accuracy, result.gradientNorm]).toEqual([0, 0, 0])
      else expect(result.loss).toBeGreaterThan(0)
    }
    // neither momentum nor decay moved what was learnt
    const last = steps - empty.filter((at) => at >= steps - 1).length
    const before = await trained(source(empty), last)
    expect(weights === before.weights).toBe(true)
  })

  it('leaves the weights of the step before, with lion', async () => {
    const [after, before] = [
      await trained(source([1]), 2, { optimizer: lion() }),
      await trained(source([1]), 1, { optimizer: lion() }),
    ]
    expect(after.weights === before.weights).toBe(true)
  })

  it('does not move the loss scale', async () => {
    const { results } = await trained(source([1, 2]), 5, { precision: 'f16' })
    expect(new Set(results.map(({ lossScale }) => lossScale)).size).toBe(1)
    expect(results.every(({ loss }) => Number.isFinite(loss))).toBe(true)
  })

  it('among others that are accumulated counts for nothing', async () => {
    const [with1, without] = [
      await trained(source([1]), 1, { accumulate: 3 }),
      await trained(source([1], true), 1, { accumulate: 2 }),
    ]
    expect(with1.results[0]?.loss).toBe(without.results[0]?.loss)
    expect(with1.weights === without.weights).toBe(true)
  })

  it('does not make an estimate of curvature', async () => {
    const [with1, without] = [
      await trained(source([0]), 1, { accumulate: 2, optimizer: sophia() }),
      await trained(source([0], true), 1, { optimizer: sophia() }),
    ]
    expect(with1.weights === without.weights).toBe(true)
  })

  it('has no place in the curves of a report', () => {
    const step = { learningRate: 1, gradientNorm: 1, tokensPerSecond: 1, seconds: 1, accuracy: 0 }
    const page = reportPage('a run', [
      {
        ...{ name: 'run', config: {}, facts: [], evaluations: [], samples: [], examples: [] },
        steps: [
          { ...step, step: 1, loss: 3 },
          { ...step, step: 2, loss: 0, gradientNorm: 0, targets: 0 },
          { ...step, step: 3, loss: 2 },
        ],
      },
    ])
    expect(page).not.toContain('NaN')
    expect(page).not.toContain('Infinity')
  })

  it('and an evaluation without any says so', async () => {
    const model = await createTrainableDecoder(device, { from: { spec: smallSpec(1), seed: 7 } })
    const evaluator = await Evaluator.create({ device, model, shape: { batch: 2, length: 24 } })
    await expect(evaluator.run(source([0, 1]), 2)).rejects.toThrow(/evaluator.run: 2 batches have no targets/)
    expect((await evaluator.run(source([0]), 2)).loss).toBeGreaterThan(0)
    evaluator.dispose()
    model.dispose()
  })
})
