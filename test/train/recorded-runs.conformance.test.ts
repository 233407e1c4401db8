import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { createTrainableDecoder } from '../../src/train/decoder/trainable-decoder.ts'
import { adamw } from '../../src/train/optimizers/adamw.ts'
import { muon } from '../../src/train/optimizers/muon.ts'
import { sgd } from '../../src/train/optimizers/sgd.ts'
import type { ParameterDeclaration } from '../../src/train/parameter-store.ts'
import { createTrainer } from '../../src/train/trainer.ts'
import type { TrainerOptions } from '../../src/train/trainer-options.ts'
import { openRecordedRun, type RecordedRun, recordedRuns } from './recorded-run.ts'

const runs = recordedRuns()
const betas = [0.9, 0.95] as const

/** How each of the recorded optimisers was set. */
function settings(name: string, { muonNames }: RecordedRun) {
  if (name.endsWith('sgd'))
    return {
      optimizer: sgd({ momentum: 0.9, nesterov: true }),
      learningRate: 0.05,
      rule: () => ({ weightDecay: 0.01 }),
    }
  if (name.endsWith('muon'))
    return {
      optimizer: { muon: muon({ momentum: 0.95 }), adamw: adamw({ betas }) },
      learningRate: 0.002,
      rule: (parameter: ParameterDeclaration) =>
        muonNames.has(parameter.name)
          ? { optimizer: 'muon', weightDecay: 0.1, learningRateFactor: 10 }
          : { optimizer: 'adamw' },
    }
  return {
    optimizer: adamw({ betas }),
    learningRate: 0.002,
    rule: ({ shape }: ParameterDeclaration) => ({ weightDecay: shape.length > 1 ? 0.1 : 0 }),
  }
}

async function follow(device: Device, name: string, steps: number) {
  const run = await openRecordedRun(name)
  const { rule, ...rest } = settings(name, run)
  const model = await createTrainableDecoder(device, { from: run.checkpoint, rule })
  const trainer = await createTrainer({ device, model, source: run.source(), ...rest } as TrainerOptions)
  const tolerance = name.endsWith('muon') ? 2e-2 : 1e-4
  try {
    for (let step = 0; step < steps; step++) {
      const { loss, gradientNorm } = await trainer.step()
      expect(Math.abs(loss - (run.losses[step] as number)), `${name}: loss ${loss} of step ${step}`).toBeLessThan(
        tolerance,
      )
      const expected = run.gradientNorms[step] as number
      if (!name.endsWith('muon'))
        expect(Math.abs(gradientNorm / expected - 1), `${name}: gradient norm of step ${step}`).toBeLessThan(2e-3)
      if (step === 0)
        for (const [parameter, gradient] of run.gradients) {
          const got = await model.parameters.get(parameter).gradient?.read()
          let [error, size] = [0, 0]
          for (const [i, exact] of gradient.entries()) {
            error += ((got?.[i] ?? Number.NaN) - exact) ** 2
            size += exact ** 2
          }
          // that of a key's bias is zero: its sums in f32 are judged by all gradients
          const scale = Math.max(Math.sqrt(size), 1e-4 * expected)
          expect(Math.sqrt(error) / scale, `${name}: gradient of ${parameter}`).toBeLessThan(1e-3)
        }
    }
  } finally {
    trainer.dispose()
    model.dispose()
    await run.checkpoint.close()
  }
}

describe('recorded runs of PyTorch', () => {
  let device: Device
  beforeAll(async () => {
    device = await openDevice('wasm')
  })
  afterAll(() => device.dispose())

  if (runs.length === 0)
    it('are followed', (context) => context.skip('hardware: ../shared/golden/train is not beside the project'))
  else
    it('are all six there', () => {
      expect(runs).toEqual([
        'gemma2-adamw',
        'gpt2-adamw',
        'llama-gqa-adamw',
        'llama-gqa-muon',
        'llama-gqa-sgd',
        'qwen3-qknorm-adamw',
      ])
    })

  it.each(runs)('%s: losses, gradients and norms on wasm', async (name) => {
    const before = device.memory.allocated
    await follow(device, name, 12)
    // Muon keeps its tables for the next that asks
    if (!name.endsWith('muon')) expect(device.memory.allocated - before, 'bytes left on the device').toBe(0)
  })

  it.each(runs.filter((name) => name === 'llama-gqa-adamw'))('%s: the first steps on webgpu', async (name) => {
    const gpu = await openDevice('webgpu')
    try {
      await follow(gpu, name, 2)
    } finally {
      gpu.dispose()
    }
  })
})
