import { afterAll, beforeAll, describe, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose, type FloatDType } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
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
import { type MatmulCase, matmulCases, matmulInputs } from './matmul.cases.ts'
import { matmulReference } from './matmul.reference.ts'
import { matmul } from './matmul.ts'
import { type RmsNormCase, rmsNormCases, rmsNormInputs } from './rms-norm.cases.ts'
import { rmsNormReference } from './rms-norm.reference.ts'
import { rmsNormKernel } from './rms-norm.ts'
import { rowTiles } from './row-matrices.ts'

const dtypes: readonly FloatDType[] = ['f32', 'f16', 'bf16']
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
const seed = 1

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  describe.each(dtypes)('matmul %s', (dtype) => {
    it.each(matmulCases)('$name', async (of) => {
      await expectMatmul(device, of, dtype)
    })
  })
  it('matmul of mixed dtypes and a wider output', async () => {
    const round = (x: Float64Array) => x.map((v) => roundTo('f16', v))
    const [M, N, K] = [20, 30, 40]
    const { a, b } = matmulInputs({ ...(matmulCases[0] as MatmulCase), M, N, K }, randomNumbers(seed))
    const half = round(b)
    const output = matmul(device, {
      a: device.tensor(Float32Array.from(a), [M, K]),
      b: device.tensor(Float32Array.from(half), [K, N], 'f16'),
    })
    const input = { batch: 1, M, N, K, a, b: half, bias: null, transposeA: false, transposeB: false, alpha: 1 }
    const expected = matmulReference({ ...input, activation: null })
    const naive = matmulReference({ ...input, activation: null, round: Math.fround })
    expectClose({ name: 'output', got: await output.read(), expected, naive, dtype: 'f32', seed })
  })
  it.each(Object.keys(activationReference) as (keyof typeof activationReference)[])('activation %s', async (name) => {
    const random = randomNumbers(seed)
    const x = Float64Array.from({ length: 32 * 32 }, () => Math.fround(8 * random()))
    const identity = Float32Array.from({ length: 32 * 32 }, (_, i) => (i % 33 === 0 ? 1 : 0))
    const epilogue = activations[name]
    const a = device.tensor(Float32Array.from(x), [32, 32])
    const output = matmul(device, { a, b: device.tensor(identity, [32, 32]), epilogue })
    const expected = x.map(activationReference[name])
    const naive = expected.map(Math.fround)
    expectClose({ name, got: await output.read(), expected, naive, dtype: 'f32', seed })
  })
  describe.each(dtypes)('rms norm %s', (dtype) => {
    it.each(rmsNormCases)('$name', async (of) => {
      await expectRmsNorm(device, of, dtype)
    })
  })
})

async function expectMatmul(device: Device, of: MatmulCase, dtype: FloatDType): Promise<void> {
  const { M, N, K, transposeA, transposeB, alpha } = of
  const round = (x: number) => roundTo(dtype, x)
  const inputs = matmulInputs(of, randomNumbers(seed))
  const [a, b, bias] = [inputs.a.map(round), inputs.b.map(round), inputs.bias?.map(round) ?? null]
  const matrix = (data: Float64Array, rows: number, cols: number, transposed: boolean, shared = false) => {
    const shape = transposed ? [cols, rows] : [rows, cols]
    return device.tensor(Float32Array.from(data), of.batch === null || shared ? shape : [of.batch, ...shape], dtype)
  }
  const output = guardedOutput(device, of.batch === null ? [M, N] : [of.batch, M, N], dtype)
  matmul(device, {
    a: matrix(a, M, K, transposeA),
    b: matrix(b, K, N, transposeB, of.sharedB),
    ...(bias && { bias: device.tensor(Float32Array.from(bias), [N], dtype) }),
    ...(of.activation && { epilogue: activations[of.activation] }),
    ...(of.tiles && { tiles: of.tiles }),
    transposeA,
    transposeB,
    alpha,
    output: output.tensor,
  })
  const batch = of.batch ?? 1
  const repeated = of.sharedB ? Float64Array.from({ length: batch * K * N }, (_, i) => b[i % (K * N)] as number) : b
  const activation = of.activation && activationReference[of.activation]
  const input = { batch, M, N, K, a, b: repeated, bias, transposeA, transposeB, alpha, activation }
  const expected = matmulReference(input)
  const naive = matmulReference({ ...input, round: Math.fround }).map(round)
  expectClose({ name: 'output', got: await output.read(), expected, naive, dtype, seed })
}

async function expectRmsNorm(device: Device, of: RmsNormCase, dtype: FloatDType): Promise<void> {
  const { N, D, eps, offset } = of
  const round = (x: number) => roundTo(dtype, x)
  const inputs = rmsNormInputs(of, randomNumbers(seed))
  const [x, weight] = [inputs.x.map(round), inputs.weight?.map(round) ?? null]
  const output = guardedOutput(device, [1, N, D], dtype)
  const bound = {
    x: device.tensor(Float32Array.from(x), [1, N, D], dtype),
    weight: weight && device.tensor(Float32Array.from(weight), [D], dtype),
    output: output.tensor,
  }
  const kernel = rmsNormKernel({ ...bound, eps, offset, ...rowTiles(device.kind, [1, N, D]) })
  device.run(kernel, { x: bound.x, output: bound.output, ...(bound.weight && { weight: bound.weight }) })
  const expected = rmsNormReference({ N, D, x, weight, eps, offset })
  const naive = rmsNormReference({ N, D, x, weight, eps, offset, round: Math.fround }).map(round)
  expectClose({ name: 'output', got: await output.read(), expected, naive, dtype, seed })
}
