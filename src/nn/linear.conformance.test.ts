import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { randomBlocks } from '../../test/numerics/random-blocks.ts'
import type { Device, Tensor } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { activationReference } from './activations.reference.ts'
import { gelu, silu } from './activations.ts'
import { dequantizeRows, quantizeMatrix, writtenDTypes } from './block-formats/matrix-values.ts'
import { gatedLinear } from './gated-mlp.ts'
import { type LinearCase, linearCases, linearInputs, normEps } from './linear.cases.ts'
import { linearReference } from './linear.reference.ts'
import { linear } from './linear.ts'
import { linearBytes, placeLinear } from './place-linear.ts'
import { rmsNormReference } from './rms-norm.reference.ts'
import { layoutOf, type WeightLayout } from './weights/placed-format.ts'

const activations = { gelu, silu }
const seed = 5

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(linearCases)('linear $name', async (of) => {
    if (!of.norm || layoutOf(device.kind) === 'rows') await expectLinear(device, of, layoutOf(device.kind))
    // the interpreter takes both layouts
    if (device.kind === 'interpret') await expectLinear(device, of, 'rows')
  })
})

async function expectLinear(device: Device, of: LinearCase, layout: WeightLayout): Promise<void> {
  const { N, K, dtype, gated, accumulate, beside } = of
  const inputs = linearInputs(of, randomNumbers(seed))
  const { M } = inputs
  const x = inputs.x.map((v) => roundTo(of.xDType, v))
  const before = inputs.before.map((v) => roundTo(of.outputDType, v))
  const random = randomNumbers(seed + 1)
  const matrices = inputs.weights.map((values, i) => {
    const rows = of.parts[i] as number
    // what is only read is random bits
    return writtenDTypes.includes(dtype)
      ? quantizeMatrix(Float32Array.from(values), rows, K, dtype)
      : randomBlocks(dtype, rows, K, random)
  })
  const allocated = device.memory.allocated
  const weight = placeLinear(device, {
    parts: matrices,
    bias: inputs.bias && Float32Array.from(inputs.bias),
    name: of.name,
    layout,
  })
  expect(device.memory.allocated - allocated, 'bytes allocated').toBe(weight.byteLength)
  if (layout === layoutOf(device.kind))
    expect(linearBytes(dtype, of.parts, K, device.kind, { bias: of.bias }), 'bytes planned').toBe(weight.byteLength)

  const xs = besides(device, x, N, K, beside, of.xDType)
  const output = besides(
    device,
    accumulate ? before : new Float64Array(N * M).fill(Number.NaN),
    N,
    M,
    beside,
    of.outputDType,
  )
  const activation = of.activation && activations[of.activation]
  const normWeight = inputs.norm && device.tensor(Float32Array.from(inputs.norm), [K])
  const norm = normWeight && of.norm && { weight: normWeight, eps: normEps, ...of.norm }
  const operands = { x: xs.tensor, weight, output: output.tensor, norm }
  if (gated) gatedLinear(device, { ...operands, activation: activation ?? silu })
  else linear(device, { ...operands, accumulate, ...(activation && { activation }) })

  const rows = (round: (v: number) => number) =>
    of.norm ? rmsNormReference({ N, D: K, x, weight: inputs.norm, eps: normEps, ...of.norm, round }) : x
  const input = {
    N,
    M,
    K,
    x: rows((v) => v),
    weight: Float64Array.from(matrices.flatMap((matrix) => [...dequantizeRows(matrix)])),
    bias: inputs.bias,
    activation: of.activation && activationReference[of.activation],
    gated,
    before: accumulate ? before : null,
  }
  const expected = linearReference(input)
  const naive = linearReference({ ...input, x: rows(Math.fround), round: Math.fround }).map((v) =>
    roundTo(of.outputDType, v),
  )
  expectClose({ name: of.name, got: await output.read(), expected, naive, dtype: of.outputDType, seed })
  weight.dispose()
  normWeight?.dispose()
  xs.whole.dispose()
  output.whole.dispose()
}

/** Rows [count, width] with `beside` columns of NaN beside them; `read` fails where those were written. */
function besides(
  device: Device,
  rows: Float64Array,
  count: number,
  width: number,
  beside: number,
  dtype: 'f32' | 'f16',
) {
  const pitch = width + beside
  const data = new Float32Array(count * pitch).fill(Number.NaN)
  for (let n = 0; n < count; n++) data.set(rows.subarray(n * width, (n + 1) * width), n * pitch)
  const whole: Tensor = device.tensor(data, [count, pitch], dtype)
  return {
    whole,
    tensor: whole.slice(1, 0, width),
    async read(): Promise<Float32Array> {
      const all = (await whole.read()) as Float32Array
      const column = (i: number) => i % pitch
      expect(
        all.findIndex((v, i) => column(i) >= width && !Number.isNaN(v)),
        'a write outside the output',
      ).toBe(-1)
      return all.filter((_, i) => column(i) < width)
    },
  }
}
