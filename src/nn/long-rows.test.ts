import { afterAll, describe, expect, it } from 'vitest'
import { openDevice } from '../device/index.ts'
import { layerNorm } from './layer-norm.ts'
import { rmsNorm } from './rms-norm.ts'
import { sample } from './sample.ts'
import { type SamplingSettings, settingsRow, settingsWidth } from './sampling/sampling-settings.ts'
import { tokenLogLikelihood } from './token-log-likelihood.ts'

// Rows as long as the largest vocabularies: beyond 2¹⁸ a row is read in parts, the last of which hangs over its end. Nothing
// is freed before the end and the logits come last, so that from the second call on nothing lies behind them in memory.
const lengths = [2 ** 18 - 1, 2 ** 18, 2 ** 18 + 1, 2 ** 18 + 64, 300_000] as const
const rows = 2

/** Rows whose last token is sure; what a row that reads on would find, the first of the next, is as high. */
function sureOfTheLast(V: number): Float32Array {
  const logits = new Float32Array(rows * V).fill(-8)
  for (let row = 0; row < rows; row++) {
    logits[row * V] = 19
    logits[(row + 1) * V - 1] = 20
  }
  return logits
}

describe.each(lengths)('rows of %i', async (V) => {
  const device = await openDevice('wasm', { wasm: { threads: 1 } })
  afterAll(() => device.dispose())
  const logprob = (x: number) => x - 20 - Math.log(1 + Math.exp(-1) + (V - 2) * Math.exp(-28))

  it.each([
    ['the highest', { temperature: 0 }],
    ['one of the best', { topK: 1 }],
    ['one of the most likely', { topP: 0.5 }],
    ['one that is likely enough', { minP: 0.9 }],
    ['one of a cold row', { temperature: 0.01 }],
  ] as const satisfies readonly (readonly [string, SamplingSettings])[])('sample takes %s', async (_, settings) => {
    const given = {
      settings: device.tensor(Array.from({ length: rows }, () => settingsRow(settings)).flat(), [rows, settingsWidth]),
      seeds: device.tensor(Uint32Array.from([1, 2, 3, 4]), [rows, 2]),
      output: { ids: device.zeros([rows], 'i32'), logprobs: device.zeros([rows]) },
      logits: device.tensor(sureOfTheLast(V), [rows, V]),
    }
    sample(device, given)
    expect([...(await given.output.ids.read())]).toEqual([V - 1, V - 1])
    for (const found of await given.output.logprobs.read()) expect(found).toBeCloseTo(logprob(20), 5)
  })

  it('log-likelihood and norms', async () => {
    const [output, normed, targets] = [
      device.zeros([rows]),
      device.zeros([rows, V]),
      device.tensor(Int32Array.from([0, V - 1]), [rows]),
    ]
    const weight = device.tensor(new Float32Array(V).fill(1), [V])
    const x = device.tensor(sureOfTheLast(V), [rows, V])
    const likelihood = await tokenLogLikelihood(device, { logits: x, targets, output }).read()
    expect(likelihood[0]).toBeCloseTo(logprob(19), 5)
    expect(likelihood[1]).toBeCloseTo(logprob(20), 5)
    const squares = (64 * (V - 2) + 19 ** 2 + 20 ** 2) / V
    const mean = (-8 * (V - 2) + 19 + 20) / V
    rmsNorm(device, { x, weight, eps: 0, output: normed })
    expect((await normed.read())[V - 1]).toBeCloseTo(20 / Math.sqrt(squares), 3)
    layerNorm(device, { x, weight, eps: 0, output: normed })
    const expected = (20 - mean) / Math.sqrt(squares - mean ** 2)
    expect(((await normed.read())[2 * V - 1] as number) / expected).toBeCloseTo(1, 4)
  })
})
