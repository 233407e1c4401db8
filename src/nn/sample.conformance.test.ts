import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { countTokens } from './count-tokens.ts'
import { sampleCases, sampleInputs } from './sample.cases.ts'
import {
  type Distribution,
  logprobReference,
  raceReference,
  type SampleRow,
  sampleReference,
} from './sample.reference.ts'
import { sample } from './sample.ts'
import { type SamplingSettings, settingsRow, settingsWidth } from './sampling/sampling-settings.ts'

const seed = 11
const steps = 6

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  // the draw is a function of seed, step and token: the token must be the reference's, and so must be what filters keep
  it.each(sampleCases)('sample: $name', async (of) => {
    const { S, V } = of
    const { logits, seen } = sampleInputs(of, randomNumbers(seed))
    const settings = Array.from({ length: S }, (_, s) => of.settings[s % of.settings.length] as SamplingSettings)
    // rows look their counts up in the reverse order
    const slots = Array.from({ length: S }, (_, s) => S - 1 - s)
    const counts = seen && slots.flatMap((s) => seen.slice(s * V, (s + 1) * V))
    const ids = device.empty([S], 'i32')
    const logprobs = guardedOutput(device, [S], 'f32')
    const seeds = device.zeros([S, 2], 'u32')
    const chunks = of.tiles?.chunkV ? Math.ceil(V / of.tiles.chunkV) : 0
    const call = {
      logits: device.tensor(Float32Array.from(logits), [S, V]),
      settings: device.tensor(settings.flatMap(settingsRow), [S, settingsWidth]),
      seeds,
      ...(counts && {
        seen: {
          counts: device.tensor(Int32Array.from(counts), [S, V]),
          slots: device.tensor(Int32Array.from(slots), [S]),
        },
      }),
      softCap: of.softCap,
      ...(of.tiles && { tiles: of.tiles }),
      ...(chunks > 0 && { statistics: device.empty([S, 4, chunks]) }),
      output: { ids, logprobs: logprobs.tensor },
    }
    const rows = settings.map((given, s) => ({
      logits: logits.subarray(s * V, (s + 1) * V),
      settings: given,
      softCap: of.softCap,
      seen: seen?.slice(s * V, (s + 1) * V) ?? null,
    }))
    const kept = rows.map((row) => sampleReference(row, Math.fround) as Distribution)
    for (let step = 0; step < steps; step++) {
      const pairs = settings.map((_, s) => [0xfffffff0 + s, step * 1000 + s] as const)
      seeds.write(Uint32Array.from(pairs.flat()))
      sample(device, call)
      const [got, gotLogprobs] = [await ids.read(), await logprobs.read()]
      for (const [s, [rowSeed, counter]] of pairs.entries()) {
        const [row, distribution] = [rows[s] as SampleRow, kept[s] as Distribution]
        const expected = raceReference(distribution, rowSeed, counter)
        const what = `row ${s} step ${step} ${JSON.stringify(row.settings)}: ${got[s]} of ${distribution.tokens.length}`
        expect(got[s], what).toBe(expected)
        const logprob = logprobReference(row, expected)
        expect(Math.abs((gotLogprobs[s] as number) - logprob), what).toBeLessThan(1e-5 + 2e-6 * Math.abs(logprob))
      }
    }
  })

  it('sample: rows without a distribution give −1, and others beside them what they give alone', async () => {
    const [V, inf] = [300, Number.POSITIVE_INFINITY]
    const good = Array.from({ length: V }, (_, v) => 3 * Math.sin(v * v))
    const rows = [good, good.with(250, Number.NaN), good.with(3, inf), Array<number>(V).fill(-inf), good.with(5, -inf)]
    const S = rows.length
    const tiles = { tileV: 64, drawV: 128, chunkV: 64, whole: false, probes: 3 }
    const chunked = { tiles, statistics: device.empty([S, 4, Math.ceil(V / tiles.chunkV)]) }
    const ways = [
      { settings: { temperature: 0 } },
      { settings: { topP: 0.9, topK: 40 } },
      { settings: { temperature: 0 }, way: chunked },
    ]
    for (const { settings, way } of ways) {
      const [ids, logprobs] = [device.empty([S], 'i32'), device.empty([S])]
      sample(device, {
        logits: device.tensor(Float32Array.from(rows.flat()), [S, V]),
        settings: device.tensor(
          rows.flatMap(() => settingsRow(settings)),
          [S, settingsWidth],
        ),
        seeds: device.tensor(Uint32Array.from(rows.flatMap(() => [1, 2])), [S, 2]),
        ...way,
        output: { ids, logprobs },
      })
      const [got, gotLogprobs] = [await ids.read(), await logprobs.read()]
      for (const [s, row] of rows.entries()) {
        const logits = Float64Array.from(row, Math.fround)
        const kept = sampleReference({ logits, settings, softCap: null, seen: null })
        expect(got[s]).toBe(kept ? raceReference(kept, 1, 2) : -1)
        expect(Number.isNaN(gotLogprobs[s])).toBe(kept === null)
      }
    }
  })

  it('count tokens: of a prompt, then generated ones', async () => {
    const [V, R] = [300, 3]
    const random = randomNumbers(seed)
    const draw = (n: number) =>
      Array.from({ length: R * n }, () => (random() > 0.9 ? -1 : Math.floor(Math.abs(random()) * 40)))
    const slots = [4, 0, 2]
    const counts = device.zeros([5, V], 'i32')
    const expected = new Int32Array(5 * V)
    const count = (tokens: readonly number[], as: 'prompt' | 'generated') => {
      const n = tokens.length / R
      const bound = device.tensor(Int32Array.from(tokens), [R, n])
      countTokens(device, { counts, slots: device.tensor(Int32Array.from(slots), [R]), tokens: bound, as })
      for (const [i, token] of tokens.entries()) {
        const at = (slots[Math.floor(i / n)] as number) * V + token
        if (token >= 0) expected[at] = as === 'prompt' ? (expected[at] as number) | 1 : (expected[at] as number) + 2
      }
    }
    count(draw(300), 'prompt')
    count(draw(70), 'generated')
    for (let step = 0; step < 3; step++) count(draw(1), 'generated')
    expect(await counts.read()).toEqual(expected)
  })
})
