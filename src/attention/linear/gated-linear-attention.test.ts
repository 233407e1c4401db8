import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { relativeRms } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { type Device, FoveaError, openDevice, type Tensor } from '../../device/index.ts'
import type { StorageDType } from '../../ir/index.ts'
import { type DecayKind, decayShape, type GatedLinearCase, gatedLinearInputs } from './gated-linear-attention.cases.ts'
import { type GatedLinearAttentionOptions, gatedLinearAttention } from './gated-linear-attention.ts'
import { retention } from './retention.ts'

type Options = Omit<GatedLinearAttentionOptions, 'initialState'> & { readonly initialState: Tensor }

const device: Device = await openDevice('interpret', { interpret: { precision: 'real' } })

/** the tensors of a random small problem, with states */
const problems = fc
  .record({
    B: fc.integer({ min: 1, max: 2 }),
    T: fc.integer({ min: 2, max: 40 }),
    D: fc.integer({ min: 1, max: 20 }),
    Dv: fc.integer({ min: 1, max: 20 }),
    decayPer: fc.constantFrom('channel' as const, 'token' as const),
    decay: fc.constantFrom<DecayKind>('none', 'mild', 'strong', 'reset', 'closed'),
    seed: fc.integer(),
  })
  .map(({ seed, ...sizes }) => {
    const of: GatedLinearCase = { name: '', H: 2, initialState: true, cuSeqlens: null, form: 'chunked', ...sizes }
    return { of, seed }
  })

function tensors({ of, seed }: { of: GatedLinearCase; seed: number }): Options {
  const { B, T, H, D, Dv } = of
  const drawn = gatedLinearInputs(of, randomNumbers(seed))
  const tensor = (data: Float64Array | null, shape: readonly number[]) =>
    device.tensor(Float32Array.from(data ?? []), shape)
  return {
    query: tensor(drawn.query, [B, T, H, D]),
    key: tensor(drawn.key, [B, T, H, D]),
    value: tensor(drawn.value, [B, T, H, Dv]),
    logDecay: tensor(drawn.logDecay, decayShape(of)),
    initialState: tensor(drawn.initialState, [B, H, D, Dv]),
  }
}

const perToken = ['query', 'key', 'value', 'logDecay'] as const

/** tokens from … to−1 of every tensor that has tokens */
function tokens<O extends Options>(options: O, from: number, to: number): O {
  return { ...options, ...Object.fromEntries(perToken.map((name) => [name, options[name].slice(1, from, to)])) }
}

async function run(options: GatedLinearAttentionOptions) {
  const { output, finalState } = gatedLinearAttention(device, options)
  return { output: (await output.read()) as Float32Array, finalState: (await finalState.read()) as Float32Array }
}

function expectSame(got: ArrayLike<number>, expected: ArrayLike<number>, bound = 1e-6): void {
  expect(relativeRms(got, expected)).toBeLessThanOrEqual(bound)
}

const property = <T>(arbitrary: fc.Arbitrary<T>, law: (value: T) => Promise<void>) =>
  fc.assert(fc.asyncProperty(arbitrary, law), { numRuns: 25 })

describe('laws of gated linear attention', () => {
  it('chunked = recurrent', () =>
    property(problems, async (problem) => {
      const options = tensors(problem)
      const [chunked, recurrent] = [
        await run({ ...options, form: 'chunked' }),
        await run({ ...options, form: 'recurrent' }),
      ]
      expectSame(chunked.output, recurrent.output)
      expectSame(chunked.finalState, recurrent.finalState)
    }))

  it('split at any token with the state passed on = whole', () =>
    property(fc.tuple(problems, fc.nat()), async ([problem, at]) => {
      const options = { ...tensors({ ...problem, of: { ...problem.of, B: 1 } }), form: 'chunked' as const }
      const { T } = problem.of
      const split = at % (T + 1)
      const left = gatedLinearAttention(device, tokens(options, 0, split))
      const right = await run({ ...tokens(options, split, T), initialState: left.finalState })
      const whole = await run(options)
      expectSame([...((await left.output.read()) as Float32Array), ...right.output], whole.output)
      expectSame(right.finalState, whole.finalState)
    }))

  it('packed = separate, empty sequences included', () =>
    property(fc.tuple(problems, fc.array(fc.nat(), { minLength: 1, maxLength: 4 })), async ([problem, cuts]) => {
      const { T, H, D, Dv } = problem.of
      const inner = cuts.map((cut) => cut % (T + 1)).sort((a, b) => a - b)
      const cuSeqlens = [0, ...inner, T]
      const sequences = cuSeqlens.length - 1
      const base = tensors({ ...problem, of: { ...problem.of, B: 1 } })
      const random = randomNumbers(problem.seed + 1)
      const states = Float32Array.from({ length: sequences * H * D * Dv }, random)
      const initialState = device.tensor(states, [sequences, H, D, Dv])
      const packed = await run({ ...base, form: 'chunked', initialState, cuSeqlens })
      const size = H * D * Dv
      for (let n = 0; n < sequences; n++) {
        const [from, to] = [cuSeqlens[n] as number, cuSeqlens[n + 1] as number]
        const options = {
          ...tokens(base, from, to),
          initialState: initialState.slice(0, n, n + 1),
          form: 'chunked' as const,
        }
        const alone = await run(options)
        expect(packed.output.subarray(from * H * Dv, to * H * Dv)).toEqual(alone.output)
        expect(packed.finalState.subarray(n * size, (n + 1) * size)).toEqual(alone.finalState)
      }
    }))

  it('after a token that forgets everything, nothing before it matters', () =>
    property(
      fc.tuple(problems, fc.nat(), fc.constantFrom(-200, -1e6, Number.NEGATIVE_INFINITY)),
      async ([problem, at, g]) => {
        const of = { ...problem.of, B: 1, decay: 'mild' as const }
        const forgets = at % of.T
        const drawn = await tensors({ ...problem, of }).logDecay.read()
        const width = of.H * (of.decayPer === 'channel' ? of.D : 1)
        drawn.fill(g, forgets * width, (forgets + 1) * width)
        const closed = (seed: number) => {
          const options = tensors({ of, seed })
          return { ...options, logDecay: device.tensor(drawn, options.logDecay.shape), form: 'chunked' as const }
        }
        const [one, other] = [closed(problem.seed), closed(problem.seed + 1)]
        // the same tokens from there on, other tokens and another state before
        for (const name of ['query', 'key', 'value'] as const) {
          const [mine, theirs] = [await one[name].read(), await other[name].read()]
          const from = (forgets * mine.length) / of.T
          theirs.set(mine.subarray(from), from)
          other[name].write(theirs)
        }
        const [a, b] = [await run(one), await run(other)]
        const from = (forgets * a.output.length) / of.T
        expectSame(a.output.subarray(from), b.output.subarray(from))
        expectSame(a.finalState, b.finalState)
      },
    ))

  it('the future cannot change the past', () =>
    property(fc.tuple(problems, fc.nat()), async ([problem, at]) => {
      const of = { ...problem.of, B: 1 }
      const until = at % (of.T + 1)
      const options = { ...tensors({ ...problem, of }), form: 'chunked' as const }
      const whole = await run(options)
      const part = await run(tokens(options, 0, until))
      expectSame(whole.output.subarray(0, part.output.length), part.output)
    }))

  it('one decay per token = that decay repeated for every channel', () =>
    property(problems, async (problem) => {
      const of = { ...problem.of, decayPer: 'token' as const }
      const options = { ...tensors({ ...problem, of }), form: 'chunked' as const }
      const decays = await options.logDecay.read()
      const repeated = Float32Array.from(
        { length: decays.length * of.D },
        (_, i) => decays[Math.floor(i / of.D)] as number,
      )
      const logDecay = device.tensor(repeated, [of.B, of.T, of.H, of.D])
      const [once, forEach] = [await run(options), await run({ ...options, logDecay })]
      expectSame(once.output, forEach.output)
      expectSame(once.finalState, forEach.finalState)
    }))

  it('any strides with a contiguous last dimension', async () => {
    const options = tensors({ of: { ...plain, B: 2, T: 35 }, seed: 3 })
    const strided = { ...options }
    for (const name of perToken) {
      // the same numbers laid out [B, H, T, …]
      const swapped = options[name].transpose(1, 2)
      strided[name] = device.tensor(await swapped.read(), swapped.shape).transpose(1, 2)
    }
    expect(await run(strided)).toEqual(await run(options))
  })
})

const plain: GatedLinearCase = {
  name: '',
  B: 1,
  T: 4,
  H: 2,
  D: 8,
  Dv: 6,
  decayPer: 'channel',
  decay: 'mild',
  initialState: true,
  cuSeqlens: null,
  form: 'chunked',
}

describe('what gated linear attention refuses', () => {
  const options = tensors({ of: plain, seed: 1 })
  const other = (shape: number[], dtype: StorageDType = 'f32') => device.zeros(shape, dtype)
  it.each<[string, string, Partial<GatedLinearAttentionOptions>]>([
    ['shape', 'key of another length', { key: other([1, 5, 2, 8]) }],
    ['shape', 'key of other heads', { key: other([1, 4, 1, 8]) }],
    ['shape', 'value of another length', { value: other([1, 3, 2, 6]) }],
    ['shape', 'value of three dimensions', { value: other([4, 2, 6]) }],
    ['shape', 'logDecay of another width', { logDecay: other([1, 4, 2, 6]) }],
    ['shape', 'state of another shape', { initialState: other([1, 2, 6, 8]) }],
    ['shape', 'one state per packed sequence', { cuSeqlens: [0, 2, 4] }],
    ['shape', 'columns that are not contiguous', { key: other([1, 4, 8, 2]).transpose(2, 3) }],
    ['dtype', 'key of another dtype', { key: other([1, 4, 2, 8], 'f16') }],
    [
      'dtype',
      'integers',
      { query: other([1, 4, 2, 8], 'i32'), key: other([1, 4, 2, 8], 'i32'), value: other([1, 4, 2, 6], 'i32') },
    ],
    ['dtype', 'a state in f16', { initialState: other([1, 2, 8, 6], 'f16') }],
    ['argument', 'bounds that decrease', { cuSeqlens: [0, 3, 2, 4] }],
    ['argument', 'bounds that overrun', { cuSeqlens: [0, 5] }],
    ['argument', 'no bounds', { cuSeqlens: [] }],
  ])('%s: %s', (code, _, change) => {
    let thrown: unknown
    try {
      gatedLinearAttention(device, { ...options, ...change })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(FoveaError)
    expect(thrown).toMatchObject({ code, where: 'gatedLinearAttention' })
    expect((thrown as FoveaError).message).toMatch(/, got .*\[/)
  })
  it('shape: a packed batch, a head too wide', () => {
    const wide = other([1, 4, 2, 300])
    expect(() => gatedLinearAttention(device, { ...options, query: wide, key: wide })).toThrow(/headDim/)
    const two = tensors({ of: { ...plain, B: 2 }, seed: 1 })
    expect(() => gatedLinearAttention(device, { ...two, cuSeqlens: [0, 2, 4] })).toThrow(/batch of 1/)
  })
  it('retention: decays of another number of heads', () => {
    expect(() => retention(device, { ...options, logDecay: other([3]) })).toThrow(
      /retention: logDecay must be \[2\], got \[3\]/,
    )
  })
  it('nothing: no tokens give an empty output and the state as it was', async () => {
    const none = tokens(options, 0, 0)
    const { output, finalState } = await run(none)
    expect(output.length).toBe(0)
    expect(finalState).toEqual(await options.initialState.read())
  })
})
