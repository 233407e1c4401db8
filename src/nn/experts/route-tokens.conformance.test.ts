import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { expectClose } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import type { Device } from '../../device/index.ts'
import { routingCases } from './route-tokens.cases.ts'
import { routeReference } from './route-tokens.reference.ts'
import { routeTokens } from './route-tokens.ts'

const seed = 23

describe.each(Object.entries(devices))('%s', (name, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
    expect(device.kind).toBe(name.split(' ')[0])
  })
  afterAll(() => device?.dispose())

  it.each(routingCases)('routing $name', async (of) => {
    const { N, E, routing } = of
    const K = routing.perToken
    const random = randomNumbers(seed)
    const draw = (n: number) => Array.from({ length: n }, () => Math.fround(random()))
    const logits = draw(N * E).map((x) => (of.ties ? Math.round(2 * x) : Math.fround(3 * x)))
    const bias = of.bias ? draw(E) : null
    const expertScale = of.expertScale ? draw(E) : null
    const given = Array.from({ length: N * K }, (_, i) => (i * 5) % E)
    const chosen = of.given
      ? device.tensor(given, [N, K], 'i32')
      : device.tensor(new Int32Array(N * K).fill(-9), [N, K], 'i32')
    const weights = device.tensor(new Float32Array(N * K).fill(Number.NaN), [N, K])
    routeTokens(device, {
      logits: device.tensor(logits, [N, E]),
      routing,
      bias: bias && device.tensor(bias, [E]),
      expertScale: expertScale && device.tensor(expertScale, [E]),
      chosen,
      weights,
      given: of.given,
    })
    const rows = Array.from({ length: N }, (_, n) =>
      routeReference(
        logits.slice(n * E, (n + 1) * E),
        routing,
        bias,
        expertScale,
        of.given ? given.slice(n * K, (n + 1) * K) : null,
      ),
    )
    expect([...(await chosen.read())]).toEqual(rows.flatMap((row) => row.chosen))
    const expected = rows.flatMap((row) => row.weights)
    const got = await weights.read()
    expectClose({ name: of.name, got, expected, naive: expected.map(Math.fround), dtype: 'f32', seed })
  })
})
