import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose, type FloatDType, relativeRms } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { type Device, openDevice } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { type CrossEntropyReferenceInput, crossEntropyReference } from './cross-entropy.reference.ts'
import { crossEntropy, crossEntropyScratch } from './cross-entropy.ts'

const seed = 5

function drawn(random: () => number, size: number, factor = 1): Float64Array {
  return Float64Array.from({ length: size }, () => Math.fround(random() * factor))
}

function problem(change: Partial<CrossEntropyReferenceInput>): CrossEntropyReferenceInput {
  const random = randomNumbers(seed)
  const { N = 13, V = 37, C = 12 } = change
  const targets = Array.from({ length: N }, (_, n) => (n % 5 === 2 ? -1 : Math.floor(Math.abs(random()) * V) % V))
  const [hidden, weight] = [drawn(random, N * C, 2), drawn(random, V * C, 2)]
  return { N, V, C, hidden, weight, bias: null, targets, softCap: null, factor: 0.75, ...change }
}

describe('the reference', () => {
  it.each([
    ['plain', {}],
    ['bias and soft cap', { softCap: 3, bias: drawn(randomNumbers(9), 37) }],
  ] as const)('%s: gradients are those of finite differences', (_, change) => {
    const input = problem(change)
    const found = crossEntropyReference(input)
    const loss = (changed: Partial<CrossEntropyReferenceInput>) =>
      input.factor * crossEntropyReference({ ...input, ...changed }).losses.reduce((a, b) => a + b, 0)
    const moved = (x: Float64Array, i: number, by: number) => x.with(i, (x[i] as number) + by)
    for (const [name, gradient] of [
      ['hidden', found.dHidden],
      ['weight', found.dWeight],
      ['bias', found.dBias],
    ] as const) {
      const x = input[name]
      if (!x) continue
      const difference = (i: number) =>
        (loss({ [name]: moved(x, i, 1e-5) }) - loss({ [name]: moved(x, i, -1e-5) })) / 2e-5
      const some = Array.from({ length: 20 }, (_, i) => (i * 7) % x.length)
      expect(
        relativeRms(
          some.map(difference),
          some.map((i) => gradient[i] as number),
        ),
      ).toBeLessThan(1e-7)
    }
  })
})

const cases = {
  plain: ['f32', 6, {}],
  'one chunk, a bias and a soft cap': ['f32', 16, { softCap: 3, bias: drawn(randomNumbers(9), 37) }],
  'more columns than a tile': ['f32', 2, { N: 3, V: 2100, C: 4 }],
  halves: ['f16', 6, { factor: 8 }],
  // a model that has fallen apart foretells nothing
  'all logits equal': ['f32', 6, { weight: new Float64Array(37 * 12) }],
} as const
// software GPUs compile slowly: one case each
const onGpu: Readonly<Record<string, (keyof typeof cases)[]>> = {
  'webgpu T0': ['one chunk, a bias and a soft cap'],
  'webgpu T1': ['halves'],
}

describe.each(Object.entries(devices))('%s', (kind, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(onGpu[kind] ?? (Object.keys(cases) as (keyof typeof cases)[]))('%s', async (name) => {
    const [dtype, chunk, change] = cases[name]
    const given = problem(change)
    const narrow = (x: Float64Array) => x.map((v) => roundTo(dtype, v))
    const input = { ...given, hidden: narrow(given.hidden), weight: narrow(given.weight) }
    await expectCrossEntropy(device, input, dtype, chunk)
  })
})

async function expectCrossEntropy(device: Device, input: CrossEntropyReferenceInput, dtype: FloatDType, chunk: number) {
  const { N, V, C, hidden, weight, bias, targets, softCap, factor } = input
  const tensor = (data: ArrayLike<number>, shape: number[], to: FloatDType = 'f32') =>
    device.tensor(Float32Array.from(data), shape, to)
  const before = drawn(randomNumbers(17), V * C)
  const beforeBias = drawn(randomNumbers(18), V)
  const outputs = {
    losses: guardedOutput(device, [N], 'f32'),
    lse: guardedOutput(device, [N], 'f32'),
    dHidden: guardedOutput(device, [N, C], dtype),
  }
  const correct = device.empty([N], 'i32')
  const [dWeight, dBias] = [tensor(before, [V, C]), tensor(beforeBias, [V])]
  const width = Math.ceil(V / 8) * 8
  const call = {
    hidden: tensor(hidden, [N, C], dtype),
    weight: tensor(weight, [V, C], dtype),
    ...(bias && { bias: tensor(bias, [V]) }),
    targets: device.tensor(Int32Array.from(targets), [N]),
    softCap,
    losses: outputs.losses.tensor,
    lse: outputs.lse.tensor,
    correct,
    scratch: {
      logits: device.empty([chunk, width]),
      gradient: dtype === 'f32' ? null : device.empty([chunk, width], dtype),
      partials: dtype === 'f32' ? null : device.empty([2, chunk, C]),
    },
  }
  crossEntropy(device, {
    ...call,
    factor: tensor([factor], [1]),
    dHidden: outputs.dHidden.tensor,
    dWeight,
    ...(bias && { dBias }),
  })
  const plus = (found: ReturnType<typeof crossEntropyReference>) => ({
    ...found,
    dWeight: found.dWeight.map((v, i) => v + (before[i] as number)),
    dBias: found.dBias.map((v, i) => v + (beforeBias[i] as number)),
  })
  const expected = plus(crossEntropyReference(input))
  const naive = plus(crossEntropyReference({ ...input, round: (x) => roundTo(dtype, x) }))
  const got = {
    losses: await outputs.losses.read(),
    lse: await outputs.lse.read(),
    dHidden: await outputs.dHidden.read(),
    dWeight: await dWeight.read(),
    ...(bias && { dBias: await dBias.read() }),
  }
  for (const name of Object.keys(got) as (keyof typeof got)[])
    expectClose({ name, got: got[name] as Float32Array, expected: expected[name], naive: naive[name], dtype, seed })
  expect(await correct.read()).toEqual(expected.correct)

  // losses alone: the same numbers
  crossEntropy(device, { ...call, scratch: { logits: call.scratch.logits, gradient: null } })
  expect(await outputs.losses.read()).toEqual(got.losses)
}

describe('memory and refusals', () => {
  it('scratch holds what fits, in even chunks', () => {
    const scratch = crossEntropyScratch({ tokens: 8192, vocabulary: 128_000, dtype: 'f32' })
    expect(scratch).toEqual({ logits: { shape: [96, 128_000], dtype: 'f32' }, gradient: null, partials: null })
    const sizes = { tokens: 8192, vocabulary: 128_000, width: 64, dtype: 'f32', kind: 'wasm' } as const
    const { logits, partials } = crossEntropyScratch(sizes)
    expect(partials?.shape).toEqual([8, 96, 64])
    expect(4 * 96 * (128_000 + 8 * 64)).toBeLessThan(64e6)
    expect(logits).toEqual(scratch.logits)
    expect(crossEntropyScratch({ tokens: 2048, vocabulary: 8190, dtype: 'f16' }).gradient).toEqual({
      shape: [1024, 8192],
      dtype: 'f16',
    })
    expect(() => crossEntropyScratch({ tokens: 1, vocabulary: 1000, dtype: 'f32', maxBytes: 3999 })).toThrow(/4000/)
  })

  it('chunks of any size give the same, and a recording takes new targets', async () => {
    const device = await openDevice('wasm', { wasm: { threads: 1 } })
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70 }), async (chunk, V) => {
        const { N, C, hidden, weight, targets } = problem({ V })
        const run = async (rows: number) => {
          const dWeight = device.zeros([V, C])
          const dHidden = device.empty([N, C])
          const ids = device.tensor(Int32Array.from(targets).fill(-1), [N])
          const recording = device.record(() =>
            crossEntropy(device, {
              hidden: device.tensor(Float32Array.from(hidden), [N, C]),
              weight: device.tensor(Float32Array.from(weight), [V, C]),
              targets: ids,
              losses: device.empty([N]),
              lse: device.empty([N]),
              factor: device.tensor(Float32Array.of(1), [1]),
              dHidden,
              dWeight,
              scratch: { logits: device.empty([rows, Math.ceil(V / 8) * 8]), gradient: null },
            }),
          )
          recording.run()
          expect((await dWeight.read()).every((v) => v === 0)).toBe(true)
          ids.write(Int32Array.from(targets))
          recording.run()
          const found = [await dHidden.read(), await dWeight.read()] as const
          recording.dispose()
          return found
        }
        const [some, all] = [await run(chunk), await run(N)]
        expect(some[0]).toEqual(all[0])
        expect(relativeRms(some[1], all[1])).toBeLessThan(1e-6)
      }),
      { numRuns: 8 },
    )
    device.dispose()
  })
})
