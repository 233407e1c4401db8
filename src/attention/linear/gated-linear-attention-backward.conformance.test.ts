import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { expectClose, type FloatDType } from '../../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import type { Device } from '../../device/index.ts'
import { roundTo } from '../../ir/index.ts'
import { type GatedLinearCase, gatedLinearAttentionCases, gatedLinearInputs } from './gated-linear-attention.cases.ts'
import { gatedLinearAttentionBackwardReference } from './gated-linear-attention-backward.reference.ts'
import {
  type GatedLinearChunk,
  gatedLinearAttentionBackward,
  gatedLinearAttentionBackwardScratch,
} from './gated-linear-attention-backward.ts'

const seed = 1
const chunked = gatedLinearAttentionCases.filter(({ form }) => form === 'chunked')
const named = (...names: readonly string[]) => chunked.filter(({ name }) => names.includes(name))
const small = (of: GatedLinearCase): GatedLinearCase => ({ ...of, D: 16, Dv: 16 })

/** All inputs on one back end; on the others a few that have every kind of argument (SwiftShader takes seconds a kernel). */
const casesOn: Readonly<Record<string, readonly GatedLinearCase[]>> = {
  interpret: named('very odd widths', 'packed', 'per token, closed gates, packed'),
  'wasm plain': named('strong decay'),
  'wasm relaxed': chunked,
  'webgpu T0': named('very odd widths', 'per token, closed gates, packed').map(small),
}

describe.each(Object.entries(casesOn))('%s', (name, cases) => {
  let device: Device
  beforeAll(async () => {
    device = await (devices[name] as () => Promise<Device>)()
  })
  afterAll(() => device?.dispose())

  it.each(cases)('$name', async (of) => {
    await expectCase(device, of)
  })
  if (name !== 'wasm relaxed') return
  it.each(['f16', 'bf16'] as const)('%s', async (dtype) => {
    await expectCase(device, named('odd widths')[0] as GatedLinearCase, { dtype })
  })
  it('decays that are given', async () => {
    await expectCase(device, small(named('one decay per token')[0] as GatedLinearCase), { decayIsGiven: true })
  })
  it.each([8, 10])('an adapter that binds %i tensors', async (binds) => {
    await expectCase(device, named('very odd widths')[0] as GatedLinearCase, { binds })
  })
  it.each([8, 16, 64] as const)('chunks of %i', async (chunk) => {
    for (const decayPer of ['channel', 'token'] as const)
      await expectCase(device, { ...small(named('tokens that forget')[0] as GatedLinearCase), decayPer }, { chunk })
  })
})

/** The device as one that binds so many tensors. */
function binding(device: Device, maxStorageBuffersPerShaderStage: number): Device {
  const { kind, info } = device
  const run: Device['run'] = (kernel, tensors) => {
    expect(Object.keys(tensors).length).toBeLessThanOrEqual(maxStorageBuffersPerShaderStage)
    device.run(kernel, tensors)
  }
  return {
    kind,
    info: { ...info, limits: { ...info.limits, maxStorageBuffersPerShaderStage } },
    run,
  } as unknown as Device
}

interface CaseOptions {
  readonly chunk?: GatedLinearChunk
  readonly dtype?: FloatDType
  readonly binds?: number
  /** no gradient of logDecay is asked for */
  readonly decayIsGiven?: boolean
}

/** Holds every gradient to the float64 reference; outputs start as NaN between guards, and two runs agree in every bit. */
async function expectCase(
  device: Device,
  of: GatedLinearCase,
  { chunk, dtype = 'f32', binds, decayIsGiven = false }: CaseOptions = {},
): Promise<void> {
  const { B, T, H, D, Dv, cuSeqlens, decayPer } = of
  const random = randomNumbers(seed)
  const round = (x: number) => roundTo(dtype, x)
  const drawn = gatedLinearInputs(of, random)
  const [q, k, v] = [drawn.query.map(round), drawn.key.map(round), drawn.value.map(round)]
  const inputs = { ...drawn, query: q, key: k, value: v }
  const draw = (n: number) => Float64Array.from({ length: n }, () => Math.fround(random()))
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : B
  const state = [sequences, H, D, Dv]
  const dOutput = draw(B * T * H * Dv).map(round)
  const dFinalState = of.initialState ? draw(sequences * H * D * Dv) : null
  const scale = 1 / Math.sqrt(D)
  const decays = decayPer === 'token' ? [B, T, H] : [B, T, H, D]

  const tensor = (data: ArrayLike<number>, shape: readonly number[], as: FloatDType = 'f32') =>
    device.tensor(Float32Array.from(data), shape, as)
  const query = tensor(inputs.query, [B, T, H, D], dtype)
  const value = tensor(inputs.value, [B, T, H, Dv], dtype)
  const sizes = gatedLinearAttentionBackwardScratch({
    query,
    value,
    sequences,
    packed: cuSeqlens !== null,
    ...(chunk && { chunk }),
  })
  const given = {
    ...{ query, value, scale, ...(chunk && { chunk }) },
    key: tensor(inputs.key, [B, T, H, D], dtype),
    logDecay: tensor(inputs.logDecay, decays),
    dOutput: tensor(dOutput, [B, T, H, Dv], dtype),
    ...(inputs.initialState && { initialState: tensor(inputs.initialState, state) }),
    ...(dFinalState && { dFinalState: tensor(dFinalState, state) }),
    ...(cuSeqlens && { cuSeqlens: device.tensor(Int32Array.from(cuSeqlens), [sequences + 1]) }),
    scratch: { states: device.empty(sizes.states), stateGradients: device.empty(sizes.stateGradients) },
  }
  const run = async () => {
    const made = {
      dQuery: guardedOutput(device, [B, T, H, D], dtype),
      dKey: guardedOutput(device, [B, T, H, D], dtype),
      dValue: guardedOutput(device, [B, T, H, Dv], dtype),
      ...(!decayIsGiven && { dLogDecay: guardedOutput(device, decays, 'f32') }),
      dInitialState: guardedOutput(device, state, 'f32'),
    }
    const outputs = Object.fromEntries(Object.entries(made).map(([name, { tensor }]) => [name, tensor]))
    gatedLinearAttentionBackward(binds ? binding(device, binds) : device, {
      ...given,
      ...(outputs as Record<keyof typeof made, typeof query>),
    })
    const read = Object.entries<ReturnType<typeof guardedOutput>>(made).map(
      async ([name, { read }]) => [name, await read()] as const,
    )
    return Object.fromEntries(await Promise.all(read))
  }
  const [got, again] = [await run(), await run()]
  const input = { B, T, H, D, Dv, ...inputs, scale, cuSeqlens, dOutput, dFinalState }
  const expected = gatedLinearAttentionBackwardReference(input)
  // the naive implementation: f32 inside
  const naive = gatedLinearAttentionBackwardReference({ ...input, round: Math.fround })
  for (const name of Object.keys(got) as (keyof typeof expected)[]) {
    const numbers = got[name] as Float32Array
    const stored = name === 'dLogDecay' || name === 'dInitialState' ? 'f32' : dtype
    const rounded = naive[name].map((x) => roundTo(stored, x))
    expectClose({ name, got: numbers, expected: expected[name], naive: rounded, dtype: stored, seed })
    expect(again[name]).toEqual(numbers)
  }
}
