import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { accumulate } from './accumulate.ts'
import { activate, activateBackward, gatedActivation, gatedActivationBackward } from './activate.ts'
import { activationReference } from './activations.reference.ts'
import {
  gelu,
  geluQuick,
  geluTanh,
  leakyRelu,
  relu,
  reluSquared,
  sigmoid,
  silu,
  softplus,
  tanh,
} from './activations.ts'
import { add } from './add.ts'

const seed = 19
const names = Object.keys(activationReference) as (keyof typeof activationReference)[]
const activations = {
  relu,
  reluSquared,
  leakyRelu: leakyRelu(),
  gelu,
  geluTanh,
  geluQuick,
  silu,
  sigmoid,
  softplus,
  tanh,
}
const slope = (f: (x: number) => number, x: number) => (f(x + 1e-5) - f(x - 1e-5)) / 2e-5

describe.each(Object.entries(devices))('%s', (kind, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  // software GPUs compile slowly: what is particular to one activation is arithmetic that other tests compare
  const some = kind.startsWith('webgpu') ? (['geluTanh'] as const) : names
  it.each(some)('%s and its slope, on columns of a wider matrix', async (name) => {
    const [N, D] = [11, 37]
    const random = randomNumbers(seed)
    const wide = Float64Array.from({ length: N * 2 * D }, () => Math.fround(6 * random()))
    const x = device.tensor(Float32Array.from(wide), [N, 2 * D])
    const [gate, up] = [x.slice(1, 0, D), x.slice(1, D, 2 * D)]
    const dY = Float64Array.from({ length: N * D }, () => Math.fround(random()))
    const dOutput = device.tensor(Float32Array.from(dY), [N, D])
    const activation = activations[name]
    const f = activationReference[name]
    const [plain, gated, dX, dHalves] = [
      [N, D],
      [N, D],
      [N, D],
      [N, 2 * D],
    ].map((shape) => device.zeros(shape))
    if (!plain || !gated || !dX || !dHalves) throw new Error('no tensors')
    activate(device, { x: gate, activation, output: plain })
    activateBackward(device, { x: gate, activation, dOutput, dX })
    gatedActivation(device, { gate, up, activation, output: gated })
    const [dGate, dUp] = [dHalves.slice(1, 0, D), dHalves.slice(1, D, 2 * D)]
    gatedActivationBackward(device, { gate, up, activation, dOutput, dGate, dUp })

    const at = (i: number) => {
      const [row, col] = [Math.floor(i / D), i % D]
      return { g: wide[row * 2 * D + col] as number, u: wide[row * 2 * D + D + col] as number, d: dY[i] as number }
    }
    const each = (make: (values: ReturnType<typeof at>) => number) =>
      Float64Array.from({ length: N * D }, (_, i) => make(at(i)))
    // differences of a float64 function are right to about 1e-10
    const expected = {
      plain: each(({ g }) => f(g)),
      dX: each(({ g, d }) => d * slope(f, g)),
      gated: each(({ g, u }) => f(g) * u),
      dGate: each(({ g, u, d }) => d * u * slope(f, g)),
      dUp: each(({ g, d }) => d * f(g)),
    }
    const got = { plain, dX, gated, dGate, dUp }
    for (const part of Object.keys(expected) as (keyof typeof expected)[]) {
      const naive = expected[part].map(Math.fround)
      expectClose({ name: part, got: await got[part].read(), expected: expected[part], naive, dtype: 'f32', seed })
    }
  })

  it('sums halves, and flat arrays', async () => {
    for (const shape of [
      [5, 33],
      [64, 48],
    ]) {
      const size = (shape[0] as number) * (shape[1] as number)
      const random = randomNumbers(seed)
      const [a, b] = [1, 2].map(() => Float64Array.from({ length: size }, () => roundTo('f16', random())))
      if (!a || !b) throw new Error('no numbers')
      const [x, y] = [a, b].map((data) => device.tensor(Float32Array.from(data), shape, 'f16'))
      const output = device.empty(shape)
      add(device, { a: x as typeof output, b: y as typeof output, output })
      const expected = Float32Array.from(a, (v, i) => v + (b[i] as number))
      expect(await output.read()).toEqual(expected)
      accumulate(device, { x: x as typeof output, output })
      expect(await output.read()).toEqual(expected.map((v, i) => Math.fround(v + (a[i] as number))))
    }
  })

  it('refuses what does not fit', () => {
    const [a, b] = [device.empty([4, 6]), device.empty([4, 5])]
    expect(() => add(device, { a, b, output: a })).toThrow(expect.objectContaining({ code: 'shape', where: 'add' }))
    const ids = device.empty([4, 6], 'i32')
    expect(() => add(device, { a, b: ids, output: a })).toThrow(expect.objectContaining({ code: 'dtype' }))
    // neither halves of one matrix nor apart
    const call = { gate: b, up: b, dOutput: b, activation: silu }
    const [dGate, dUp] = [device.empty([4, 9]).slice(1, 0, 5), device.empty([4, 9])]
    expect(() =>
      gatedActivationBackward(device, { ...call, dGate: dUp.slice(1, 0, 5), dUp: dUp.slice(1, 4, 9) }),
    ).toThrow(expect.objectContaining({ code: 'argument' }))
    gatedActivationBackward(device, { ...call, dGate, dUp: dUp.slice(1, 4, 9) })
  })
})
