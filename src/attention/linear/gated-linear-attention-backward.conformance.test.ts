import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { expectClose } from '../../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import type { Device } from '../../device/index.ts'
import { type GatedLinearCase, gatedLinearAttentionCases, gatedLinearInputs } from './gated-linear-attention.cases.ts'
import { gatedLinearAttentionBackwardReference } from './gated-linear-attention-backward.reference.ts'
import {
  type GatedLinearChunk,
  gatedLinearAttentionBackward,
  gatedLinearAttentionBackwardScratch,
} from './gated-linear-attention-backward.ts'

const seed = 1
// the longest ones once, in the interpreter, where a token costs nothing to set up
const cases = gatedLinearAttentionCases.filter(({ form, T }) => form === 'chunked' && T < 200)

describe.each(Object.entries(devices))('%s', (name, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(cases)('$name', async (of) => {
    await expectCase(device, of)
  })
  it.each([8, 16, 64] as const)('chunks of %i', async (chunk) => {
    for (const decayPer of ['channel', 'token'] as const) {
      const of = { ...cases[0], T: 70, D: 16, Dv: 16, decay: 'reset', initialState: true, decayPer } as GatedLinearCase
      await expectCase(device, of, chunk)
    }
  })
  if (name === 'wasm relaxed')
    it.each(gatedLinearAttentionCases.filter(({ form, T }) => form === 'chunked' && T >= 200))('$name', async (of) => {
      await expectCase(device, of)
    })
})

/** Holds every gradient to the float64 reference; outputs start as NaN between guards, and two runs agree in every bit. */
async function expectCase(device: Device, of: GatedLinearCase, chunk: GatedLinearChunk = 32): Promise<void> {
  const { B, T, H, D, Dv, cuSeqlens, decayPer } = of
  const random = randomNumbers(seed)
  const inputs = gatedLinearInputs(of, random)
  const draw = (n: number) => Float64Array.from({ length: n }, () => Math.fround(random()))
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
  const state = [sequences, H, D, Dv]
  const dOutput = draw(B * T * H * Dv)
  const dFinalState = of.initialState ? draw(sequences * H * D * Dv) : null
  const scale = 1 / Math.sqrt(D)
  const decays = decayPer === 'token' ? [B, T, H] : [B, T, H, D]

  const tensor = (data: ArrayLike<number>, shape: readonly number[]) => device.tensor(Float32Array.from(data), shape)
  const query = tensor(inputs.query, [B, T, H, D])
  const value = tensor(inputs.value, [B, T, H, Dv])
  const sizes = gatedLinearAttentionBackwardScratch({ query, value, sequences, packed: cuSeqlens !== null, chunk })
  const given = {
    ...{ query, value, scale, chunk },
    key: tensor(inputs.key, [B, T, H, D]),
    logDecay: tensor(inputs.logDecay, decays),
    dOutput: tensor(dOutput, [B, T, H, Dv]),
    ...(inputs.initialState && { initialState: tensor(inputs.initialState, state) }),
    ...(dFinalState && { dFinalState: tensor(dFinalState, state) }),
    ...(cuSeqlens && { cuSeqlens: device.tensor(Int32Array.from(cuSeqlens), [sequences + 1]) }),
    scratch: { states: device.empty(sizes.states), stateGradients: device.empty(sizes.stateGradients) },
  }
  const run = async () => {
    const made = {
      dQuery: guardedOutput(device, [B, T, H, D], 'f32'),
      dKey: guardedOutput(device, [B, T, H, D], 'f32'),
      dValue: guardedOutput(device, [B, T, H, Dv], 'f32'),
      dLogDecay: guardedOutput(device, decays, 'f32'),
      dInitialState: guardedOutput(device, state, 'f32'),
    }
    const outputs = Object.fromEntries(Object.entries(made).map(([name, { tensor }]) => [name, tensor]))
    gatedLinearAttentionBackward(device, { ...given, ...(outputs as Record<keyof typeof made, typeof query>) })
    const read = Object.entries(made).map(async ([name, { read }]) => [name, await read()] as const)
    return Object.fromEntries(await Promise.all(read))
  }
  const [got, again] = [await run(), await run()]
  const input = { B, T, H, D, Dv, ...inputs, scale, cuSeqlens, dOutput, dFinalState }
  const expected = gatedLinearAttentionBackwardReference(input)
  // the naive implementation: f32 inside
  const naive = gatedLinearAttentionBackwardReference({ ...input, round: Math.fround })
  for (const name of ['dQuery', 'dKey', 'dValue', 'dLogDecay', 'dInitialState'] as const) {
    const numbers = got[name] as Float32Array
    expectClose({ name, got: numbers, expected: expected[name], naive: naive[name], dtype: 'f32', seed })
    expect(again[name]).toEqual(numbers)
  }
}
