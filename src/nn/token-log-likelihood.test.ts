import { describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../device/index.ts'
import { type TokenLogLikelihoodOptions, tokenLogLikelihood } from './token-log-likelihood.ts'

const device: Device = await openDevice('wasm', { wasm: { threads: 1 } })

async function likelihoods(rows: readonly (readonly number[])[], targets: readonly number[]): Promise<number[]> {
  const [N, V] = [rows.length, rows[0]?.length ?? 0]
  const output = tokenLogLikelihood(device, {
    logits: device.tensor(Float32Array.from(rows.flat()), [N, V]),
    targets: device.tensor(Int32Array.from(targets), [N]),
    output: device.empty([N]),
  })
  return [...((await output.read()) as Float32Array)]
}

describe('tokenLogLikelihood', () => {
  it('is −log V of equal logits, however large, and the logits shift nothing', async () => {
    for (const value of [0, 1e30, -1e30, 3e38, -3e38])
      expect(await likelihoods([Array(37).fill(value)], [5])).toEqual([Math.fround(-Math.log(37))])
  })
  it('sums to 1 over all targets', async () => {
    const row = Array.from({ length: 50 }, (_, v) => 3 * Math.sin(v * v))
    const all = await likelihoods(
      Array.from({ length: 50 }, () => row),
      row.map((_, v) => v),
    )
    expect(all.reduce((sum, x) => sum + Math.exp(x), 0)).toBeCloseTo(1, 5)
  })
  it('gives 0 for no target, −∞ for one that cannot be, NaN where there is no distribution', async () => {
    const inf = Number.POSITIVE_INFINITY
    expect(
      await likelihoods(
        [
          [1, 2],
          [1, -inf],
          [1, -inf],
          [-inf, -inf],
          [1, Number.NaN],
          [1, inf],
        ],
        [-1, 1, 2, 0, 0, 0],
      ),
    ).toEqual([0, -inf, 0, Number.NaN, Number.NaN, Number.NaN])
  })

  const logits = device.zeros([3, 8])
  const options = { logits, targets: device.zeros([3], 'i32'), output: device.zeros([3]) }
  it.each<[string, Partial<TokenLogLikelihoodOptions>]>([
    ['shape', { logits: device.zeros([24]) }],
    ['shape', { targets: device.zeros([4], 'i32') }],
    ['shape', { output: device.zeros([3, 1]) }],
    ['dtype', { targets: device.zeros([3]) }],
    ['dtype', { logits: device.zeros([3, 8], 'i32') }],
    ['argument', { softCap: 0 }],
    ['argument', { softCap: Number.NaN }],
  ])('refuses with %s %#', (code, change) => {
    let error: unknown
    try {
      tokenLogLikelihood(device, { ...options, ...change })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code, where: 'tokenLogLikelihood' })
  })
})
