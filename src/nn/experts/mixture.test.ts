import { describe, expect, it } from 'vitest'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { type Device, type FoveaError, openDevice, type Tensor } from '../../device/index.ts'
import { silu } from '../activations.ts'
import { quantizeMatrix } from '../block-formats/matrix-values.ts'
import { combineExperts } from './combine-experts.ts'
import { type MixtureOptions, mixture } from './mixture.ts'
import { mixtureBufferSpecs, mixtureMethod } from './mixture-plan.ts'
import { placeExperts, splitExperts } from './place-experts.ts'
import { type RouteTokensOptions, routeTokens } from './route-tokens.ts'
import type { RoutingSpec } from './routing-spec.ts'
import { listLength, sortPairs, tileCount } from './sort-pairs.ts'

const device: Device = await openDevice('interpret')
const random = randomNumbers(3)
const matrix = (rows: number, cols: number) =>
  quantizeMatrix(Float32Array.from({ length: rows * cols }, random), rows, cols, 'f32')

function codeOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    const { code, where, message } = error as FoveaError
    expect(message.startsWith(`${where}: `), message).toBe(true)
    return code
  }
  return 'nothing'
}

describe('pairs that are sorted', () => {
  it.each([
    [1, 1, 1],
    [40, 3, 8],
    [257, 64, 4],
    [70, 5, 32],
    [600, 2, 16],
  ])('%i pairs of %i experts, tiles of %i', async (pairs, experts, tileM) => {
    // some pairs are of experts that there are not, and half of the experts have none
    const chosen = Int32Array.from(
      { length: pairs },
      () => Math.floor(((random() + 1) / 2) * (experts / 2 + 2)) * 2 - 1,
    )
    const i32 = (shape: readonly number[]) =>
      device.tensor(new Int32Array(shape[0]! * (shape[1] ?? 1)).fill(-99), shape, 'i32')
    const [position, list] = [i32([pairs]), i32([listLength(pairs, experts, tileM)])]
    sortPairs(device, { chosen: device.tensor(chosen, [pairs]), experts, tileM, position, list })
    const all = [...(await list.read())]
    const order = all.slice(3 * tileCount(pairs, experts, tileM))
    const real = [...chosen.keys()].filter((p) => chosen[p]! >= 0 && chosen[p]! < experts)
    const sorted = real.sort((a, b) => chosen[a]! - chosen[b]! || a - b)
    expect(order.slice(0, sorted.length)).toEqual(sorted)
    const places = [...chosen.keys()].map((p) => sorted.indexOf(p))
    expect([...(await position.read())]).toEqual(places)
    const tiles = all.slice(0, all.length - pairs)
    const rows: number[] = []
    for (let tile = 0; tile < tiles.length; tile += 3) {
      const [expert, first, count] = tiles.slice(tile, tile + 3) as [number, number, number]
      expect(count >= 0 && count <= tileM).toBe(true)
      for (let row = first; row < first + count; row++) {
        expect(chosen[sorted[row]!]).toBe(expert)
        rows.push(row)
      }
    }
    expect(rows).toEqual(sorted.map((_, row) => row))
  })
})

describe('memory of a mixture', () => {
  it('for a step holds any smaller step', () => {
    for (const kind of ['wasm', 'webgpu', 'interpret'] as const)
      for (const [experts, perToken] of [
        [8, 2],
        [128, 8],
        [3, 3],
      ] as const) {
        const of = (tokens: number) =>
          mixtureBufferSpecs(kind, { tokens, experts, perToken, inner: 8, hidden: 16 }, 'f32')
        const most = of(600)
        for (let tokens = 0; tokens <= 600; tokens += 7) {
          const less = of(tokens)
          for (const name of Object.keys(most) as (keyof typeof most)[])
            expect(less[name].elements).toBeLessThanOrEqual(most[name].elements)
          const method = mixtureMethod(kind, { tokens, experts, perToken })
          if (method.kind === 'tiles')
            expect(listLength(tokens * perToken, experts, method.tileM)).toBeLessThanOrEqual(less.list.elements)
        }
      }
  })
  it.each([{ tokens: 1.5 }, { experts: 0 }, { perToken: 9 }, { inner: Number.NaN }, { hidden: -1 }])(
    'argument: %o',
    (change) => {
      const sizes = { tokens: 4, experts: 8, perToken: 2, inner: 4, hidden: 4, ...change }
      expect(codeOf(() => mixtureBufferSpecs('wasm', sizes, 'f32'))).toBe('argument')
    },
  )
})

describe('what routing refuses', () => {
  const shapes = { logits: [3, 8], chosen: [3, 2], weights: [3, 2] } as const
  const route = (routing: Partial<RoutingSpec>, change: Partial<RouteTokensOptions> = {}) =>
    codeOf(() =>
      routeTokens(device, {
        logits: device.zeros(shapes.logits),
        chosen: device.zeros(shapes.chosen, 'i32'),
        weights: device.zeros(shapes.weights),
        routing: { perToken: 2, scores: 'softmax', ...routing } as RoutingSpec,
        ...change,
      }),
    )
  it.each<[string, Partial<RoutingSpec>]>([
    ['no experts chosen', { perToken: 0 }],
    ['more than there are', { perToken: 9 }],
    ['half an expert', { perToken: 1.5 }],
    ['scores of another name', { scores: 'hardmax' as 'softmax' }],
    ['a jitter of no mixer', { jitter: 0.1 }],
    ['a mixer without a jitter', { scores: 'sparseMixer' }],
    ['groups that do not divide experts', { groups: { count: 3, kept: 1, by: 'max' } }],
    ['no groups', { groups: { count: 0, kept: 1, by: 'max' } }],
    ['more groups kept than there are', { groups: { count: 2, kept: 3, by: 'max' } }],
    ['groups too small for the choice', { groups: { count: 8, kept: 1, by: 'max' } }],
    ['the best two of one', { groups: { count: 8, kept: 4, by: 'bestTwo' } }],
    ['groups by another rule', { groups: { count: 2, kept: 1, by: 'sum' as 'max' } }],
    ['two ways to normalise', { normalize: { plus: 0, atLeast: 1 } as { plus: number } }],
    ['a sum of less than nothing', { normalize: { plus: -1 } }],
    ['a scale that is no number', { scale: Number.NaN }],
    ['a field that is none', { topK: 2 } as Partial<RoutingSpec>],
  ])('argument: %s', (_, routing) => expect(route(routing)).toBe('argument'))
  it.each<[string, Partial<RouteTokensOptions>]>([
    ['shape', { logits: device.zeros([24]) }],
    ['shape', { chosen: device.zeros([3, 3], 'i32') }],
    ['shape', { weights: device.zeros([2, 2]) }],
    ['shape', { bias: device.zeros([7]) }],
    ['shape', { expertScale: device.zeros([8, 1]) }],
    ['dtype', { logits: device.zeros([3, 8], 'f16') }],
    ['dtype', { chosen: device.zeros([3, 2]) }],
    ['dtype', { bias: device.zeros([8], 'i32') }],
  ])('%s', (code, change) => expect(route({}, change)).toBe(code))
})

describe('what mixtures refuse', () => {
  const [N, E, K, C, I] = [5, 4, 2, 8, 12]
  const each = (make: () => ReturnType<typeof matrix>[]) => Array.from({ length: E }, make)
  const up = placeExperts(device, { name: 'up', experts: each(() => [matrix(I, C), matrix(I, C)]) })
  const down = placeExperts(device, { name: 'down', experts: each(() => [matrix(C, I)]) })
  const gone = placeExperts(device, { name: 'gone', experts: each(() => [matrix(C, I)]) })
  gone.dispose()
  const specs = mixtureBufferSpecs('interpret', { tokens: N, experts: E, perToken: K, inner: I, hidden: C }, 'f32')
  const zeros = (name: keyof typeof specs, less = 0): Tensor =>
    device.zeros([specs[name].elements - less], specs[name].dtype)
  const buffers = () => ({
    inner: zeros('inner'),
    outer: zeros('outer'),
    position: zeros('position'),
    list: zeros('list'),
  })
  const run = (change: Partial<MixtureOptions>) =>
    codeOf(() =>
      mixture(device, {
        x: device.zeros([N, C]),
        chosen: device.zeros([N, K], 'i32'),
        weights: device.zeros([N, K]),
        up,
        down,
        gated: true,
        activation: silu,
        buffers: buffers(),
        output: device.zeros([N, C]),
        ...change,
      }),
    )
  it('takes this', () => expect(run({})).toBe('nothing'))
  it('and no tokens', () =>
    expect(
      run({
        x: device.zeros([0, C]),
        output: device.zeros([0, C]),
        chosen: device.zeros([0, K], 'i32'),
        weights: device.zeros([0, K]),
      }),
    ).toBe('nothing'))
  it.each<[string, string, Partial<MixtureOptions>]>([
    ['shape', 'x of another width', { x: device.zeros([N, C + 1]) }],
    ['shape', 'other tokens', { x: device.zeros([N + 1, C]), output: device.zeros([N + 1, C]) }],
    ['shape', 'weights of other pairs', { weights: device.zeros([N, K + 1]) }],
    ['shape', 'chosen in columns', { chosen: device.zeros([K, N], 'i32').transpose(0, 1) }],
    ['shape', 'one matrix where gate and up are needed', { up: down }],
    ['shape', 'gate and up where one is needed', { gated: false }],
    ['dtype', 'choices that are no integers', { chosen: device.zeros([N, K]) }],
    ['dtype', 'weights in halves', { weights: device.zeros([N, K], 'f16') }],
    ['dtype', 'an output of integers', { output: device.zeros([N, C], 'i32') }],
    ['disposed', 'a weight that is gone', { down: gone }],
    ['argument', 'a buffer too small', { buffers: { ...buffers(), inner: zeros('inner', 1) } }],
    ['argument', 'a list too short', { buffers: { ...buffers(), list: zeros('list', 1) } }],
    ['argument', 'a list of floats', { buffers: { ...buffers(), position: device.zeros([N * K]) } }],
    ['argument', 'weights of something else', { weigh: 'both' as 'input' }],
    ['argument', 'a method without a tile', { method: { kind: 'tiles' } as MixtureOptions['method'] & object }],
  ])('%s: %s', (code, _, change) => expect(run(change)).toBe(code))

  it.each<[string, string, () => unknown]>([
    ['argument', 'no experts', () => placeExperts(device, { name: 'w', experts: [] })],
    ['argument', 'experts of nothing', () => placeExperts(device, { name: 'w', experts: [[]] })],
    ['shape', 'unlike experts', () => placeExperts(device, { name: 'w', experts: [[matrix(4, 8)], [matrix(5, 8)]] })],
    [
      'shape',
      'an expert with a part less',
      () => placeExperts(device, { name: 'w', experts: [[matrix(4, 8), matrix(4, 8)], [matrix(4, 8)]] }),
    ],
    [
      'shape',
      'a bias of one expert',
      () => placeExperts(device, { name: 'w', experts: [[matrix(4, 8)], [matrix(4, 8)]], bias: new Float32Array(4) }),
    ],
    ['shape', 'rows that do not divide', () => splitExperts(matrix(10, 8), 4, [1, 2])],
    [
      'shape',
      'pairs of half a token',
      () =>
        combineExperts(device, {
          x: device.zeros([5, 8]),
          position: device.zeros([5], 'i32'),
          weights: null,
          output: device.zeros([2, 8]),
        }),
    ],
    [
      'argument',
      'tiles of no rows',
      () =>
        sortPairs(device, {
          chosen: zeros('chosen'),
          experts: 2,
          tileM: 0,
          position: zeros('position'),
          list: zeros('list'),
        }),
    ],
    [
      'shape',
      'a list of another length',
      () =>
        sortPairs(device, {
          chosen: zeros('chosen'),
          experts: 2,
          tileM: 4,
          position: zeros('position'),
          list: device.zeros([7], 'i32'),
        }),
    ],
  ])('%s: %s', (code, _, call) => expect(codeOf(call)).toBe(code))
})

it('experts in one matrix are those placed one by one', async () => {
  const fused = matrix(3 * 7, 8)
  const experts = splitExperts(fused, 3, [4, 3])
  expect(experts.map((parts) => parts.map(({ rows }) => rows))).toEqual([
    [4, 3],
    [4, 3],
    [4, 3],
  ])
  expect(Buffer.concat(experts.flat().map(({ bytes }) => bytes))).toEqual(Buffer.from(fused.bytes))
})
