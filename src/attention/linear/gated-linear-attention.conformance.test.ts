import { afterAll, beforeAll, describe, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { expectClose, type FloatDType } from '../../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import type { Device, Tensor } from '../../device/index.ts'
import { roundTo } from '../../ir/index.ts'
import { type LinearCatalogueEntry, linearCatalogue } from '../catalogue.ts'
import {
  decayShape,
  type GatedLinearCase,
  gatedLinearAttentionCases,
  gatedLinearInputs,
} from './gated-linear-attention.cases.ts'
import { gatedLinearAttentionReference } from './gated-linear-attention.reference.ts'
import { gatedLinearAttentionKernel, gatedLinearTiles } from './gated-linear-attention.ts'

const dtypes: readonly FloatDType[] = ['f32', 'f16', 'bf16']
const seed = 1
const entries = linearCatalogue.flatMap(({ name, run, cases }) =>
  cases.map((of) => ({ title: `${name}: ${of.name}`, run, of })),
)
const plain = gatedLinearAttentionCases[0] as GatedLinearCase

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  describe.each(dtypes)('%s', (dtype) => {
    it.each(entries)('$title', async ({ of, run }) => {
      await expectCase(device, of, dtype, run)
    })
    it.each(gatedLinearAttentionCases.slice(0, 8))('nothing is written beside the outputs: $name', async (of) => {
      await expectCase(device, of, dtype, guarded(gatedLinearTiles(device, of.D, of.Dv)))
    })
  })
  it.each([8, 16, 32, 64])('chunks of %i', async (chunk) => {
    const of = { ...plain, T: 150, D: 16, Dv: 16, decay: 'reset', initialState: true } as const
    for (const decayPer of ['channel', 'token'] as const)
      await expectCase(device, { ...of, decayPer }, 'f32', guarded({ chunk, tileV: 16 }))
  })
})

type Run = LinearCatalogueEntry['run']

/** The kernel itself, into outputs full of NaN with guards on both sides. */
function guarded(tiles: { chunk: number; tileV: number }): Run {
  return (device, { query, key, value, logDecay, initialState, cuSeqlens, scale, form }) => {
    const [B = 0, T = 0, H = 0, D = 0] = query.shape
    const Dv = value.shape[3] ?? 0
    const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
    const output = guardedOutput(device, [B, T, H, Dv], query.dtype)
    const finalState = guardedOutput(device, [sequences, H, D, Dv], 'f32')
    const bound = { query, key, value, logDecay, output: output.tensor, finalState: finalState.tensor }
    const optional = {
      initialState: initialState ?? null,
      cuSeqlens: cuSeqlens ? device.tensor(Int32Array.from(cuSeqlens), [sequences + 1]) : null,
    }
    const kernel = gatedLinearAttentionKernel({
      ...bound,
      ...optional,
      ...tiles,
      scale: scale ?? 1,
      form: form ?? 'chunked',
    })
    const present = Object.entries(optional).flatMap(([name, x]) => (x ? [[name, x] as const] : []))
    device.run(kernel, { ...bound, ...Object.fromEntries(present) })
    const checked = ({ tensor, read }: typeof output) => Object.assign(Object.create(tensor) as Tensor, { read })
    return { output: checked(output), finalState: checked(finalState) }
  }
}

/** Runs a case and holds its output and final state to the reference. */
async function expectCase(device: Device, of: GatedLinearCase, dtype: FloatDType, run: Run): Promise<void> {
  const { B, T, H, D, Dv, cuSeqlens, form, decayPer } = of
  const round = (x: number) => roundTo(dtype, x)
  const drawn = gatedLinearInputs(of, randomNumbers(seed))
  const [query, key, value] = [drawn.query.map(round), drawn.key.map(round), drawn.value.map(round)]
  const { initialState } = drawn
  const scale = 1 / Math.sqrt(D)
  const tensor = (data: ArrayLike<number>, shape: readonly number[], as: FloatDType) =>
    device.tensor(Float32Array.from(data), shape, as)
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
  const result = run(device, {
    query: tensor(query, [B, T, H, D], dtype),
    key: tensor(key, [B, T, H, D], dtype),
    value: tensor(value, [B, T, H, Dv], dtype),
    logDecay: tensor(drawn.logDecay, decayShape(of), 'f32'),
    ...(initialState && { initialState: tensor(initialState, [sequences, H, D, Dv], 'f32') }),
    ...(cuSeqlens && { cuSeqlens }),
    scale,
    form,
  })
  const perToken = () => Float64Array.from({ length: B * T * H }, (_, i) => drawn.logDecay[i % H] as number)
  const logDecay = decayPer === 'head' ? perToken() : drawn.logDecay
  const input = { B, T, H, D, Dv, query, key, value, logDecay, initialState, scale, cuSeqlens }
  const expected = gatedLinearAttentionReference(input)
  // the naive implementation: f32 inside, rounded where it is stored
  const naive = gatedLinearAttentionReference({ ...input, round: Math.fround })
  const got = (await result.output.read()) as Float32Array
  expectClose({ name: 'output', got, expected: expected.output, naive: naive.output.map(round), dtype, seed })
  // states are f32, from inputs of this dtype
  const state = (await result.finalState.read()) as Float32Array
  expectClose({ name: 'finalState', got: state, expected: expected.finalState, naive: naive.finalState, dtype, seed })
}
