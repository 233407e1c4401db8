import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dropoutFactor } from '../../src/attention/dropout.ts'
import {
  type AttentionOptions,
  attention,
  attentionBackward,
  type MaskMod,
  type ScoreMod,
} from '../../src/attention/index.ts'
import { type Device, openDevice, type Tensor } from '../../src/device/index.ts'
import { scalar, symbol, type Value } from '../../src/tile/index.ts'
import { evaluateExpressions } from '../numerics/evaluate-expression.ts'
import { randomNumbers } from '../numerics/random.ts'
import { buildRecipe, type Recipe, recipes } from '../numerics/random-expression.ts'
import { definitions, normalizers } from './normalizer-definitions.ts'

// The law: for any score function, the gradients of attention are what finite differences of attention, written in float64 from
// its definition, give. Along random directions, one for each tensor.

const masks: Readonly<Record<string, { mod: MaskMod | null; allowed: (q: number, k: number) => boolean }>> = {
  none: { mod: null, allowed: () => true },
  causal: { mod: ({ q, k }) => k.le(q.add(1)), allowed: (q, k) => k <= q + 1 },
  // some rows attend to nothing
  scattered: {
    mod: ({ q, k }) => q.mod(4).ne(1).and(q.add(k).mod(3).ne(0)),
    allowed: (q, k) => q % 4 !== 1 && (q + k) % 3 !== 0,
  },
}

interface Setting {
  readonly seed: number
  readonly recipe: Recipe
  /** names of `reads` that surely take part */
  readonly captured: readonly string[]
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly numKvHeads: number
  readonly groupSize: number
  readonly normalizer: keyof typeof normalizers
  readonly mask: string
  readonly sinks: boolean
  readonly dLse: boolean
  readonly packed: boolean
  readonly dropout: boolean
}
const [width, valueWidth, rate] = [4, 3, 0.25]

/** Loads of captured tensors in every form that is collected in its own way, and one that reaches outside. */
const reads = {
  slopes: { shape: ({ heads }) => [heads], read: (t, { head }) => t.at(head) },
  byQuery: { shape: ({ heads, queries }) => [heads, queries], read: (t, { head, q }) => t.at(head, q) },
  byKey: {
    shape: ({ batch, heads, keys }) => [batch, heads, keys],
    read: (t, { batch, head, k }) => t.at(batch, head, k),
  },
  table: { shape: ({ heads }) => [heads, 13], read: (t, { head, q, k }) => t.at(head, k.sub(q).add(6)) },
  mirrored: { shape: () => [11], read: (t, { q, k }) => t.at(q.sub(k).add(5)) },
  bias: { shape: ({ queries, keys }) => [queries, keys], read: (t, { q, k }) => t.at(q, k) },
  buckets: { shape: ({ heads }) => [4, heads], read: (t, { head, q, k }) => t.at(q.sub(k).abs().min(3), head) },
  everyOther: { shape: ({ queries }) => [queries], read: (t, { q }) => t.at(q.mul(2)) },
  thirds: { shape: ({ keys }) => [keys], read: (t, { k }) => t.at(k.div(3)) },
  scalar: { shape: () => [], read: (t) => t.at() },
  single: { shape: () => [1], read: (t) => t.at(0) },
  turned: {
    shape: ({ keys, queries }) => [keys + queries],
    read: (t, { k, q, kLength }) => t.at(kLength.sub(1).sub(k).add(q)),
  },
} satisfies Readonly<
  Record<string, { shape: (sizes: Sizes) => number[]; read: (t: Tensor, at: Parameters<ScoreMod>[0]) => Value }>
>
interface Sizes {
  readonly batch: number
  readonly heads: number
  readonly queries: number
  readonly keys: number
}

const settings: fc.Arbitrary<Setting> = fc.record({
  seed: fc.integer({ min: 1, max: 1e6 }),
  recipe: recipes,
  captured: fc.subarray(Object.keys(reads), { minLength: 1, maxLength: 3 }),
  batch: fc.integer({ min: 1, max: 2 }),
  queries: fc.integer({ min: 2, max: 21 }),
  keys: fc.integer({ min: 2, max: 19 }),
  numKvHeads: fc.integer({ min: 1, max: 2 }),
  groupSize: fc.integer({ min: 1, max: 2 }),
  normalizer: fc.constantFrom('softmax', 'softmax', 'sigmoid', 'softpick', 'squares', 'halved'),
  mask: fc.constantFrom('none', 'causal', 'scattered'),
  sinks: fc.boolean(),
  dLse: fc.boolean(),
  packed: fc.boolean(),
  dropout: fc.boolean(),
})

describe.each([
  ['interpret', () => openDevice('interpret', { interpret: { precision: 'real' } }), 20, 1e-5],
  ['wasm', () => openDevice('wasm', { wasm: { threads: 1 } }), 6, 1e-4],
] as const)('%s', (_, open, numRuns, tolerance) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device.dispose())

  test('gradients are what finite differences give', async () => {
    let compared = 0
    await fc.assert(
      fc.asyncProperty(settings, async (setting) => {
        for (const { name, got, wanted, scale } of await directions(device, setting)) {
          compared++
          expect(Math.abs(got - wanted) / scale, `${name}: ${got} beside ${wanted}`).toBeLessThan(tolerance)
        }
      }),
      { numRuns },
    )
    expect(compared).toBeGreaterThan(2 * numRuns)
  })
})

interface Slope {
  readonly name: string
  /** of the gradients, and of finite differences, along one direction of one tensor */
  readonly got: number
  readonly wanted: number
  /** what rounding is measured against */
  readonly scale: number
}

async function directions(device: Device, setting: Setting): Promise<Slope[]> {
  const { seed, packed, queries, keys, numKvHeads, groupSize, recipe } = setting
  const [batch, heads] = [packed ? 1 : setting.batch, numKvHeads * groupSize]
  const next = randomNumbers(seed)
  const made: Tensor[] = []
  const host = new Map<Tensor, Float64Array>()
  const random = (...shape: number[]): Tensor => {
    const numbers = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 1.5 * next())
    const tensor = device.tensor(numbers, shape)
    host.set(tensor, Float64Array.from(numbers))
    made.push(tensor)
    return tensor
  }
  const inputs = {
    query: random(batch, queries, heads, width),
    key: random(batch, keys, numKvHeads, width),
    value: random(batch, keys, numKvHeads, valueWidth),
  }
  const sinks = setting.sinks ? random(heads) : null
  const sequences = packed ? 2 : batch
  const captured = Object.entries(reads).map(([name, { shape, read }]) => {
    const tensor = random(...shape({ batch: sequences, heads, queries, keys }))
    return { name, tensor, read: (at: Parameters<ScoreMod>[0]) => read(tensor, at) }
  })
  const scoreMod: ScoreMod = (at) => {
    // away from round numbers, where one rounding more or less decides a step
    const off = (value: Value, by: number) => value.cast('f32').mul(0.1).add(by)
    const loads = captured.map(({ read }) => {
      return () => read(at).add(0.0271)
    })
    const leaves = [() => at.score, () => off(at.k.sub(at.q), 0.0513), () => off(at.head, 0.137), ...loads]
    const random = at.score.mul(0.7).add(buildRecipe(recipe, leaves, (v) => scalar(v)))
    const chosen = captured.filter(({ name }) => setting.captured.includes(name))
    return chosen.reduce((sum, { read }) => sum.add(read(at).mul(at.score.tanh().add(1.2))), random)
  }
  const seedTensor = device.tensor(Int32Array.of(seed, -seed), [2])
  made.push(seedTensor)
  const mask = masks[setting.mask] as (typeof masks)[string]
  const bounds = { q: [0, Math.floor(queries / 2), queries], k: [0, Math.floor(keys / 3), keys] }
  const options: AttentionOptions = {
    scoreMod,
    normalizer: normalizers[setting.normalizer],
    ...(mask.mod && { maskMod: mask.mod }),
    ...(packed && { cuSeqlensQ: bounds.q, cuSeqlensK: bounds.k }),
    ...(setting.dropout && { dropout: { rate, seed: seedTensor } }),
  }
  const dOutput = random(batch, queries, heads, valueWidth)
  const dLse = setting.dLse ? random(batch, heads, queries) : null
  const request = { ...inputs, ...options, ...(sinks && { sinks }) }
  const forward = await attention(device, request)
  const gradients = await attentionBackward(device, { ...request, ...forward, dOutput, ...(dLse && { dLse }) })
  made.push(forward.output, forward.lse, gradients.dQuery, gradients.dKey, gradients.dValue)

  // what is differentiated: the loss that dOutput and dLse are the gradients of
  const position = ['q', 'k', 'head', 'batch', 'qLength', 'kLength'].map((name) => symbol(name))
  const [q, k, head, batchSymbol, qLength, kLength] = position as [Value, Value, Value, Value, Value, Value]
  const at = { q, k, head, batch: batchSymbol, qLength, kLength, score: symbol('score', 'f32') }
  const factor = setting.dropout ? dropoutFactor({ rate, seed: seedTensor }, at) : scalar(1)
  const evaluate = evaluateExpressions(
    [scoreMod(at).node, factor.node],
    [at.score, ...position].map(({ node }) => node),
    ({ source }, indices) => {
      if (source === seedTensor) return indices[0] === 0 ? seed : -seed
      const { shape } = source as Tensor
      const inside = indices.every((index, dim) => index >= 0 && index < (shape[dim] as number))
      const place = indices.reduce((sum, index, dim) => sum * (shape[dim] as number) + index, 0)
      return inside ? (host.get(source as Tensor)?.[place] as number) : 0
    },
  )
  const numbers = (tensor: Tensor) => host.get(tensor) as Float64Array
  const loss = (): number => {
    let sum = 0
    const [Q, K, V, dO] = [inputs.query, inputs.key, inputs.value, dOutput].map(numbers) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ]
    for (let n = 0; n < sequences; n++) {
      const [qFrom, qTo] = packed ? (bounds.q.slice(n, n + 2) as [number, number]) : [0, queries]
      const [kFrom, kTo] = packed ? (bounds.k.slice(n, n + 2) as [number, number]) : [0, keys]
      const row = packed ? 0 : n
      for (let h = 0; h < heads; h++)
        for (let t = 0; t < qTo - qFrom; t++) {
          const token = (row * queries + qFrom + t) * heads + h
          const attended: { at: number; factor: number }[] = []
          const scores: number[] = []
          for (let s = 0; s < kTo - kFrom; s++) {
            if (!mask.allowed(t, s)) continue
            const at = (row * keys + kFrom + s) * numKvHeads + Math.floor(h / groupSize)
            let product = 0
            for (let d = 0; d < width; d++) product += (Q[token * width + d] as number) * (K[at * width + d] as number)
            const [score, factor] = evaluate([product / 2, t, s, h, n, qTo - qFrom, kTo - kFrom]) as [number, number]
            scores.push(score)
            attended.push({ at, factor })
          }
          const sink = sinks && (numbers(sinks)[h] as number)
          const { p, lse } = (definitions[setting.normalizer] as (typeof definitions)[string])(scores, sink)
          attended.forEach(({ at, factor }, i) => {
            for (let v = 0; v < valueWidth; v++)
              sum +=
                (p[i] as number) * factor * (V[at * valueWidth + v] as number) * (dO[token * valueWidth + v] as number)
          })
          if (dLse && Number.isFinite(lse))
            sum += lse * (numbers(dLse)[(row * heads + h) * queries + qFrom + t] as number)
        }
    }
    return sum
  }

  const gradientOf = new Map<string, [Tensor, Tensor]>([
    ['query', [inputs.query, gradients.dQuery]],
    ['key', [inputs.key, gradients.dKey]],
    ['value', [inputs.value, gradients.dValue]],
    ...(sinks && gradients.dSinks ? ([['sinks', [sinks, gradients.dSinks]]] as const) : []),
  ] as [string, [Tensor, Tensor]][])
  for (const { name, tensor } of captured) {
    const gradient = gradients.dCaptured.get(tensor)
    if (gradient) gradientOf.set(name, [tensor, gradient])
  }
  const slopes: Slope[] = []
  for (const [name, [tensor, gradient]] of gradientOf) {
    const got = await gradient.read()
    made.push(gradient)
    const x = numbers(tensor)
    const start = x.slice()
    const direction = start.map(() => next())
    const along = (h: number) => {
      direction.forEach((d, i) => {
        x[i] = (start[i] as number) + h * d
      })
      return loss()
    }
    const h = 1e-5
    const [f0, f1, f2, f3, f4] = [along(0), along(h), along(-h), along(h / 2), along(-h / 2)] as [
      number,
      number,
      number,
      number,
      number,
    ]
    x.set(start)
    const [wide, narrow] = [(f1 - f2) / (2 * h), (f3 - f4) / h]
    const parts = direction.map((d, i) => d * (got[i] as number))
    const scale = 1 + Math.abs(f0) + Math.abs(narrow) + parts.reduce((sum, x) => sum + Math.abs(x), 0)
    // a kink or a step of the score function between the points
    const kinked = !(Math.abs(wide - narrow) < 1e-6 * scale && Math.abs(f1 + f2 - 2 * f0) / h < 1e-3 * scale)
    if (!kinked) slopes.push({ name, got: parts.reduce((sum, x) => sum + x, 0), wanted: narrow, scale })
  }
  for (const tensor of made) tensor.dispose()
  return slopes
}
