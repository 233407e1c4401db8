import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../device/index.ts'
import { countTokens } from './count-tokens.ts'
import { raceReference, type SampleRow, sampleReference } from './sample.reference.ts'
import { type SampleOptions, sample, sampleChunks } from './sample.ts'
import { type SamplingSettings, settingsRow, settingsWidth } from './sampling/sampling-settings.ts'
import { tokenLogLikelihood } from './token-log-likelihood.ts'

const device: Device = await openDevice('wasm', { wasm: { threads: 1 } })

interface Draw {
  readonly logits: readonly number[]
  readonly settings: SamplingSettings
  readonly seed: number
  readonly counter: number
}

/** Tokens of rows of one length, sampled together. */
async function draws(rows: readonly Draw[]): Promise<{ ids: Int32Array; logprobs: Float32Array }> {
  const [S, V] = [rows.length, rows[0]?.logits.length ?? 0]
  const tensors = {
    logits: device.tensor(Float32Array.from(rows.flatMap(({ logits }) => logits)), [S, V]),
    settings: device.tensor(
      rows.flatMap(({ settings }) => settingsRow(settings)),
      [S, settingsWidth],
    ),
    seeds: device.tensor(Uint32Array.from(rows.flatMap(({ seed, counter }) => [seed, counter])), [S, 2]),
  }
  const output = { ids: device.empty([S], 'i32'), logprobs: device.empty([S]) }
  sample(device, { ...tensors, output })
  const result = {
    ids: (await output.ids.read()) as Int32Array,
    logprobs: (await output.logprobs.read()) as Float32Array,
  }
  for (const tensor of [...Object.values(tensors), ...Object.values(output)]) tensor.dispose()
  return result
}

const asRow = ({ logits, settings }: Draw): SampleRow => ({
  logits: Float64Array.from(logits, Math.fround),
  settings,
  softCap: null,
  seen: null,
})

const wave = (V: number, scale: number) => Array.from({ length: V }, (_, v) => scale * Math.sin(v * v * 1.3 + 1))

describe('sample', () => {
  it('keeps and draws what the reference does, for any scores and settings', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.double({ min: -20, max: 20, noNaN: true }),
            fc.integer({ min: -3, max: 3 }),
            fc.double({ min: -1e-30, max: 1e-30, noNaN: true }),
            fc.constant(Number.NEGATIVE_INFINITY),
          ),
          { minLength: 1, maxLength: 80 },
        ),
        fc.record({
          temperature: fc.oneof(fc.constant(0), fc.double({ min: 0.05, max: 5, noNaN: true })),
          topK: fc.integer({ min: 0, max: 90 }),
          topP: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
          minP: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
        }),
        fc.nat({ max: 2 ** 31 - 1 }),
        async (drawnLogits, drawn, seed) => {
          // one length, so that one program serves all
          const logits = [...drawnLogits, ...Array<number>(80 - drawnLogits.length).fill(Number.NEGATIVE_INFINITY)]
          const settings = Object.fromEntries(
            Object.entries(drawn).map(([name, value]) => [name, Math.fround(value)]),
          ) as SamplingSettings
          // one step away from the bounds of the filters sums in f32 and f64 may differ
          const near = [1 - 3e-6, 1, 1 + 3e-6].map((factor) =>
            sampleReference(
              asRow({
                logits,
                settings: {
                  ...settings,
                  topP: Math.min(1, (settings.topP as number) * factor),
                  minP: (settings.minP as number) * factor,
                },
                seed,
                counter: 0,
              }),
              Math.fround,
            ),
          )
          fc.pre(near.every((kept) => kept?.tokens.length === near[1]?.tokens.length))
          const rows = Array.from({ length: 8 }, (_, counter) => ({ logits, settings, seed, counter }))
          const { ids } = await draws(rows)
          const kept = near[1]
          expect([...ids]).toEqual(rows.map(({ counter }) => (kept ? raceReference(kept, seed, counter) : -1)))
        },
      ),
      { numRuns: 150 },
    ))

  it('draws every token that is kept and no other', async () => {
    const V = 60
    for (const settings of [{ topK: 9 }, { topP: 0.4 }, { minP: 0.7 }, { topK: 20, topP: 0.6 }]) {
      const of = { logits: wave(V, 1), settings, seed: 3, counter: 0 }
      const { ids } = await draws(Array.from({ length: 600 }, (_, counter) => ({ ...of, counter })))
      const expected = sampleReference(asRow(of))?.tokens ?? []
      expect([...new Set(ids)].sort((a, b) => a - b)).toEqual([...expected].sort((a, b) => a - b))
    }
  })

  it('draws with the probabilities of the reference (χ²), over steps and over seeds', async () => {
    const n = 6000
    for (const settings of [{ temperature: 1 }, { temperature: 0.7, topK: 25 }, { temperature: 2, topP: 0.9 }])
      for (const over of ['counter', 'seed'] as const) {
        const of = { logits: wave(40, 2), settings, seed: 12, counter: 34 }
        const { ids } = await draws(Array.from({ length: n }, (_, i) => ({ ...of, [over]: i })))
        const { tokens, probabilities } = sampleReference(asRow(of)) ?? { tokens: [], probabilities: [] }
        const counts = new Map<number, number>()
        for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
        // tokens expected less than 5 times are one class
        const classes = tokens.map((token, i) => [counts.get(token) ?? 0, n * (probabilities[i] as number)] as const)
        const rare = classes.filter(([, expected]) => expected < 5)
        const common = classes.filter(([, expected]) => expected >= 5)
        const sum = (list: typeof classes, at: 0 | 1) => list.reduce((total, pair) => total + pair[at], 0)
        const tested = rare.length ? [...common, [sum(rare, 0), sum(rare, 1)] as const] : common
        const chi2 = tested.reduce((total, [got, expected]) => total + (got - expected) ** 2 / Math.max(expected, 1), 0)
        const freedom = tested.length - 1
        expect(chi2, `χ² of ${freedom} degrees, ${JSON.stringify(settings)} over ${over}`).toBeLessThan(
          freedom + 3.5 * Math.sqrt(2 * freedom),
        )
      }
  })

  it('repeats with the seed and step, whatever the rows beside it; changes with either', async () => {
    const of: Draw = { logits: wave(500, 1), settings: { temperature: 1.5 }, seed: 77, counter: 3 }
    const alone = (await draws([of])).ids[0]
    const others = Array.from({ length: 7 }, (_, i) => ({ ...of, seed: i, settings: { topK: i } }))
    expect((await draws([...others, of])).ids[7]).toBe(alone)
    const steps = (await draws(Array.from({ length: 16 }, (_, counter) => ({ ...of, counter })))).ids
    const seeds = (await draws(Array.from({ length: 16 }, (_, seed) => ({ ...of, seed })))).ids
    for (const ids of [steps, seeds]) expect(new Set(ids).size).toBeGreaterThan(8)
  })

  it('at temperature 0 takes the first of the highest', async () => {
    const at = (...places: number[]) => Array.from({ length: 1300 }, (_, v) => (places.includes(v) ? 4 : (v % 7) / 2))
    const rows = [at(0), at(1299), at(511, 512), at(700, 1200), at(3, 1024)]
    const { ids } = await draws(rows.map((logits) => ({ logits, settings: { temperature: 0 }, seed: 1, counter: 1 })))
    expect([...ids]).toEqual([0, 1299, 511, 700, 3])
  })

  it('gives the log-probabilities of tokenLogLikelihood', async () => {
    const V = 1100
    const rows = [1, 4, 9].map((scale) => ({
      logits: wave(V, scale),
      settings: { topP: 0.8 },
      seed: 5,
      counter: scale,
    }))
    const { ids, logprobs } = await draws(rows)
    const output = tokenLogLikelihood(device, {
      logits: device.tensor(Float32Array.from(rows.flatMap(({ logits }) => logits)), [3, V]),
      targets: device.tensor(ids, [3]),
      output: device.empty([3]),
    })
    for (const [s, expected] of (await output.read()).entries()) expect(logprobs[s]).toBeCloseTo(expected, 5)
  })

  it('with counted tokens repeats itself less', async () => {
    const V = 50
    const counts = device.zeros([1, V], 'i32')
    const [slots, ids] = [device.zeros([1], 'i32'), device.empty([1], 'i32')]
    const logits = wave(V, 1)
    const call: SampleOptions = {
      logits: device.tensor(Float32Array.from(logits), [1, V]),
      settings: device.tensor(settingsRow({ temperature: 0, presencePenalty: 2 }), [1, settingsWidth]),
      seeds: device.zeros([1, 2], 'u32'),
      seen: { counts, slots },
      output: { ids, logprobs: device.empty([1]) },
    }
    const tokens: number[] = []
    for (let step = 0; step < V; step++) {
      sample(device, call)
      const column = ids.reshape([1, 1])
      countTokens(device, { counts, slots, tokens: column, as: 'generated' })
      tokens.push(...(await ids.read()))
      column.dispose()
    }
    // each token in its turn, the likeliest first: 2 is more than lies between any of them
    const order = [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number))
    expect(tokens).toEqual(order)
  })
})

it('long rows on GPUs are looked through by up to 256 programs', () => {
  const chunks = (V: number) => sampleChunks('webgpu', V)
  expect([8192, 8193, 128_256, 262_144, 262_145, 2 ** 24].map(chunks)).toEqual([0, 9, 126, 256, 129, 256])
  expect(sampleChunks('wasm', 128_256)).toBe(0)
})

describe('what sample refuses', () => {
  const [S, V] = [3, 8]
  const options: SampleOptions = {
    logits: device.zeros([S, V]),
    settings: device.zeros([S, settingsWidth]),
    seeds: device.zeros([S, 2], 'u32'),
    seen: { counts: device.zeros([5, V], 'i32'), slots: device.zeros([S], 'i32') },
    output: { ids: device.zeros([S], 'i32'), logprobs: device.zeros([S]) },
  }
  const { counts, slots } = options.seen as NonNullable<SampleOptions['seen']>
  it.each<[string, Partial<SampleOptions>]>([
    ['shape', { logits: device.zeros([V]) }],
    ['shape', { logits: device.zeros([S, 0]) }],
    ['shape', { settings: device.zeros([S, 7]) }],
    ['shape', { seeds: device.zeros([S], 'u32') }],
    ['shape', { seen: { counts: device.zeros([5, V + 1], 'i32'), slots } }],
    ['shape', { seen: { counts, slots: device.zeros([S + 1], 'i32') } }],
    ['shape', { output: { ids: device.zeros([S, 1], 'i32'), logprobs: device.zeros([S]) } }],
    ['shape', { statistics: device.zeros([S, 4, 1]) }],
    ['dtype', { logits: device.zeros([S, V], 'i32') }],
    ['dtype', { seeds: device.zeros([S, 2], 'i32') }],
    ['dtype', { seen: { counts: device.zeros([5, V]), slots } }],
    ['dtype', { output: { ids: device.zeros([S]), logprobs: device.zeros([S]) } }],
    ['argument', { softCap: -1 }],
  ])('%s %#', (code, change) => {
    expect(() => sample(device, { ...options, ...change })).toThrow(expect.objectContaining({ code, where: 'sample' }))
  })
  it('countTokens: shapes, dtypes, too many at once', () => {
    const tokens = device.zeros([S, 4], 'i32')
    const good = { counts, slots, tokens, as: 'generated' } as const
    const refused = (change: object, code: string) =>
      expect(() => countTokens(device, { ...good, ...change })).toThrow(
        expect.objectContaining({ code, where: 'countTokens' }),
      )
    refused({ slots: device.zeros([S + 1], 'i32') }, 'shape')
    refused({ tokens: device.zeros([S], 'i32') }, 'shape')
    refused({ counts: device.zeros([5, V]) }, 'dtype')
    refused({ tokens: device.zeros([S, 257], 'i32') }, 'argument')
  })
})
