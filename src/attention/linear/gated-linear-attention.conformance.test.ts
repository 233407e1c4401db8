import { afterAll, beforeAll, describe, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { expectClose, type FloatDType } from '../../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import type { Device } from '../../device/index.ts'
import { roundTo } from '../../ir/index.ts'
import { type GatedLinearCase, gatedLinearAttentionCases, gatedLinearInputs } from './gated-linear-attention.cases.ts'
import { gatedLinearAttentionReference } from './gated-linear-attention.reference.ts'
import { gatedLinearAttentionKernel, gatedLinearTiles } from './gated-linear-attention.ts'
import { retention, retentionDecays } from './retention.ts'

const dtypes: readonly FloatDType[] = ['f32', 'f16', 'bf16']
const seed = 1

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  describe.each(dtypes)('gated linear attention %s', (dtype) => {
    it.each(gatedLinearAttentionCases)('$name', async (of) => {
      await expectGatedLinear(device, of, dtype)
    })
  })
  it.each([16, 32, 64])('chunks of %i', async (chunk) => {
    const of = { ...(gatedLinearAttentionCases[0] as GatedLinearCase), T: 150, D: 16, Dv: 16, decay: 'reset' } as const
    await expectGatedLinear(device, { ...of, initialState: true }, 'f32', chunk)
    await expectGatedLinear(device, { ...of, perChannel: false }, 'f32', chunk)
  })
  it('retention', async () => {
    const of = { ...(gatedLinearAttentionCases[0] as GatedLinearCase), B: 2, T: 70, H: 3, D: 16, Dv: 24 }
    const { query, key, value } = gatedLinearInputs(of, randomNumbers(seed))
    const { B, T, H, D, Dv } = of
    const decays = retentionDecays(H)
    const tensor = (data: ArrayLike<number>, shape: number[]) => device.tensor(Float32Array.from(data), shape)
    const result = retention(device, {
      query: tensor(query, [B, T, H, D]),
      key: tensor(key, [B, T, H, D]),
      value: tensor(value, [B, T, H, Dv]),
      logDecay: tensor(decays, [H]),
    })
    const logDecay = Float64Array.from({ length: B * T * H }, (_, i) => decays[i % H] as number)
    const scale = 1 / Math.sqrt(D)
    const input = { ...of, query, key, value, logDecay, initialState: null, scale }
    const expected = gatedLinearAttentionReference(input)
    const naive = gatedLinearAttentionReference({ ...input, round: Math.fround })
    for (const name of ['output', 'finalState'] as const) {
      const got = await result[name].read()
      expectClose({ name, got, expected: expected[name], naive: naive[name], dtype: 'f32', seed })
    }
  })
})

/** Runs a case's kernel into guarded outputs and holds both to the reference. */
async function expectGatedLinear(
  device: Device,
  of: GatedLinearCase,
  dtype: FloatDType,
  chunk?: number,
): Promise<void> {
  const { B, T, H, D, Dv, perChannel, cuSeqlens, form } = of
  const round = (x: number) => roundTo(dtype, x)
  const drawn = gatedLinearInputs(of, randomNumbers(seed))
  const [query, key, value] = [drawn.query.map(round), drawn.key.map(round), drawn.value.map(round)]
  const { logDecay, initialState } = drawn
  const scale = 1 / Math.sqrt(D)
  const tensor = (data: ArrayLike<number>, shape: number[], as: FloatDType) =>
    device.tensor(Float32Array.from(data), shape, as)
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
  const output = guardedOutput(device, [B, T, H, Dv], dtype)
  const finalState = guardedOutput(device, [sequences, H, D, Dv], 'f32')
  const bound = {
    query: tensor(query, [B, T, H, D], dtype),
    key: tensor(key, [B, T, H, D], dtype),
    value: tensor(value, [B, T, H, Dv], dtype),
    logDecay: tensor(logDecay, perChannel ? [B, T, H, D] : [B, T, H], 'f32'),
    output: output.tensor,
    finalState: finalState.tensor,
  }
  const optional = {
    initialState: initialState && tensor(initialState, [sequences, H, D, Dv], 'f32'),
    cuSeqlens: cuSeqlens && device.tensor(Int32Array.from(cuSeqlens), [sequences + 1]),
  }
  const tiles = gatedLinearTiles(device.kind, Dv)
  const kernel = gatedLinearAttentionKernel({
    ...bound,
    ...optional,
    scale,
    form,
    ...tiles,
    chunk: chunk ?? tiles.chunk,
  })
  const present = Object.entries(optional).flatMap(([name, x]) => (x ? [[name, x] as const] : []))
  device.run(kernel, { ...bound, ...Object.fromEntries(present) })
  const input = { B, T, H, D, Dv, query, key, value, logDecay, initialState, scale, cuSeqlens }
  const expected = gatedLinearAttentionReference(input)
  // the naive implementation: f32 inside, rounded where it is stored
  const naive = gatedLinearAttentionReference({ ...input, round: Math.fround })
  const got = await output.read()
  expectClose({ name: 'output', got, expected: expected.output, naive: naive.output.map(round), dtype, seed })
  // states are f32, from inputs of this dtype
  const state = await finalState.read()
  expectClose({ name: 'finalState', got: state, expected: expected.finalState, naive: naive.finalState, dtype, seed })
}
