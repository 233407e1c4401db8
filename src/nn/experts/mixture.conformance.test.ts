import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { expectClose } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import type { Device, Tensor } from '../../device/index.ts'
import { roundTo } from '../../ir/index.ts'
import { activationReference } from '../activations.reference.ts'
import { silu } from '../activations.ts'
import { dequantizeRows, quantizeMatrix } from '../block-formats/matrix-values.ts'
import { layoutOf, planeBytes, type WeightLayout } from '../weights/placed-format.ts'
import { type MixtureCase, mixtureCases } from './mixture.cases.ts'
import { mixtureReference } from './mixture.reference.ts'
import { mixture } from './mixture.ts'
import { mixtureBufferSpecs } from './mixture-plan.ts'
import { expertBytes, placeExperts } from './place-experts.ts'

const seed = 17

describe.each(Object.entries(devices))('%s', (name, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
    expect(device.kind).toBe(name.split(' ')[0])
  })
  afterAll(() => device?.dispose())

  it.each(mixtureCases)('mixture $name', async (of) => {
    await expectMixture(device, of, layoutOf(device.kind))
    // the interpreter takes both layouts
    if (device.kind === 'interpret') await expectMixture(device, of, 'rows')
  })
})

async function expectMixture(device: Device, of: MixtureCase, layout: WeightLayout): Promise<void> {
  const { N, E, K, hidden, inner, dtype, gated, accumulate, weigh, xDType, method } = of
  const random = randomNumbers(seed)
  const draw = (n: number, round: (x: number) => number = Math.fround) =>
    Float64Array.from({ length: n }, () => round(random()))
  const halved = (v: number) => roundTo(xDType, v)
  const matrices = (rows: number, cols: number, count: number) =>
    Array.from({ length: E }, () =>
      Array.from({ length: count }, () => quantizeMatrix(Float32Array.from(draw(rows * cols)), rows, cols, dtype)),
    )
  const [ups, downs] = [matrices(inner, hidden, gated ? 2 : 1), matrices(hidden, inner, 1)]
  const upBias = of.bias ? draw(E * inner * (gated ? 2 : 1)) : null
  const downBias = of.bias ? draw(E * hidden) : null
  const place = (name: string, experts: typeof ups, bias: Float64Array | null, cols: number, rows: number) => {
    const allocated = device.memory.allocated
    const weight = placeExperts(device, {
      name,
      experts,
      bias: bias && Float32Array.from(bias),
      layout,
      ...(of.perBuffer && { maxBindingBytes: of.perBuffer * rows * Math.max(...planeBytes(dtype, cols)) }),
    })
    expect(device.memory.allocated - allocated, 'bytes allocated').toBe(weight.byteLength)
    if (layout === layoutOf(device.kind) && !of.perBuffer)
      expect(expertBytes(dtype, E, weight.parts, cols, device.kind, { bias: of.bias })).toBe(weight.byteLength)
    if (layout === 'rows' && of.perBuffer) expect(weight.blocks.length).toBe(Math.ceil(E / of.perBuffer))
    return weight
  }
  const up = place('up', ups, upBias, hidden, inner * (gated ? 2 : 1))
  const down = place('down', downs, downBias, inner, hidden)

  const x = draw(N * hidden, halved)
  const before = draw(N * hidden, halved)
  const chosen = Int32Array.from(choices(of, random))
  const weights = Float32Array.from(draw(N * K))
  const tensors: Tensor[] = []
  const keep = (tensor: Tensor) => {
    tensors.push(tensor)
    return tensor
  }
  const sizes = { tokens: N, experts: E, perToken: K, inner, hidden }
  const specs = mixtureBufferSpecs(device.kind, sizes, xDType, method ?? undefined)
  const buffers = Object.fromEntries(
    (['inner', 'outer', 'position', 'list'] as const).map((name) => {
      const { elements, dtype: stored } = specs[name]
      const garbage = stored === 'i32' ? new Int32Array(elements).fill(-7) : new Float32Array(elements).fill(Number.NaN)
      return [name, keep(device.tensor(garbage, [elements], stored))]
    }),
  ) as Parameters<typeof mixture>[1]['buffers']
  const output = keep(
    device.tensor(Float32Array.from(accumulate ? before : before.fill(Number.NaN)), [N, hidden], xDType),
  )
  mixture(device, {
    x: keep(device.tensor(Float32Array.from(x), [N, hidden], xDType)),
    chosen: keep(device.tensor(chosen, [N, K], 'i32')),
    weights: keep(device.tensor(weights, [N, K])),
    weigh,
    up,
    down,
    gated,
    activation: silu,
    buffers,
    output,
    accumulate,
    ...(method && { method }),
  })
  const values = (experts: typeof ups) =>
    experts.map((parts) => Float64Array.from(parts.flatMap((matrix) => [...dequantizeRows(matrix)])))
  const input = {
    tokens: N,
    perToken: K,
    hidden,
    inner,
    x,
    chosen,
    weights,
    weigh,
    up: values(ups),
    down: values(downs),
    upBias,
    downBias,
    gated,
    activation: activationReference.silu,
    before: accumulate ? before : null,
  }
  const naive = mixtureReference({ ...input, round: Math.fround }).map(halved)
  const got = (await output.read()) as Float32Array
  expectClose({ name: of.name, got, expected: mixtureReference(input), naive, dtype: xDType, seed })
  for (const tensor of [...tensors]) tensor.dispose()
  up.dispose()
  down.dispose()
}

/** Experts of each token, none twice. */
function choices({ N, E, K, choice }: MixtureCase, random: () => number): number[] {
  return Array.from({ length: N }, () => {
    if (choice === 'one') return Array.from({ length: K }, (_, slot) => slot + 1)
    const all = Array.from({ length: choice === 'beyond' ? E + 2 : E }, (_, e) => (e === E + 1 ? -1 : e))
    return all
      .map((e) => ({ e, at: random() }))
      .sort((a, b) => a.at - b.at)
      .slice(0, K)
      .map(({ e }) => e)
  }).flat()
}
