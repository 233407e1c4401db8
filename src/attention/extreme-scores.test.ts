import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { definitions } from '../../test/conformance/normalizer-definitions.ts'
import { devices } from '../../test/numerics/devices.ts'
import type { Device } from '../device/index.ts'
import type { Value } from '../tile/index.ts'
import { attention } from './attention.ts'
import { attentionBackward } from './attention-backward.ts'
import type { ScoreMod } from './hooks.ts'
import { sigmoid, softmax, softpick } from './normalizers/index.ts'

// Biases as padding masks add them: the lowest float, its multiples, infinities, and what is as far on the other side.
const lowest = -3.4028234663852886e38
const halfLowest = -65504
/** What each row of queries adds to its scores, in the kernel and by definition; rows share one kernel. */
const rows: readonly { add: (score: Value, k: Value) => Value; of: (k: number) => readonly number[] }[] = [
  { add: (score) => score, of: () => [] },
  { add: (score) => score.add(lowest), of: () => [lowest] },
  { add: (score) => score.add(-3.4e38), of: () => [-3.4e38] },
  { add: (score) => score.add(lowest).add(lowest), of: () => [lowest, lowest] },
  { add: (score) => score.add(halfLowest), of: () => [halfLowest] },
  {
    add: (score, k) => score.add(k.mod(6).cast('f32').mul(-1e38)),
    of: (k) => [Math.fround((k % 6) * Math.fround(-1e38))],
  },
  { add: (score) => score.add(Number.NEGATIVE_INFINITY), of: () => [Number.NEGATIVE_INFINITY] },
  { add: (score) => score.add(-lowest), of: () => [-lowest] },
  {
    add: (score, k) => k.mod(3).eq(1).select(score.add(-lowest), score.add(lowest)),
    of: (k) => [k % 3 === 1 ? -lowest : lowest],
  },
  { add: (score, k) => k.lt(64).select(score.add(lowest), score), of: (k) => (k < 64 ? [lowest] : []) },
]
const scoreMod: ScoreMod = ({ score, q, k }) =>
  rows.reduce((otherwise, { add }, row) => q.eq(row).select(add(score, k), otherwise), score)
const [keys, width] = [67, 4]
const numbers = (count: number, from: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + from))

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device.dispose())

  const run = async (queries: number, normalizer: keyof typeof given, gradients: boolean) => {
    const [q, k, v] = [numbers(queries * width, 1), numbers(keys * width, 2), numbers(keys * width, 3)]
    const tensors = {
      query: device.tensor(q, [1, queries, 1, width]),
      key: device.tensor(k, [1, keys, 1, width]),
      value: device.tensor(v, [1, keys, 1, width]),
    }
    const request = { ...tensors, scoreMod, normalizer: given[normalizer] }
    const { output, lse } = await attention(device, request)
    const [found, sums] = [await output.read(), await lse.read()]
    for (let row = 0; row < queries; row++) {
      const scores = Array.from({ length: keys }, (_, at) => {
        let score = 0
        for (let d = 0; d < width; d++) score += (q[row * width + d] as number) * (k[at * width + d] as number)
        return (rows[row] as (typeof rows)[number])
          .of(at)
          .reduce((sum, add) => Math.fround(sum + add), score / Math.sqrt(width))
      })
      const top = Math.max(...scores)
      // a softmax does not change when all scores do: by definition, relative to the highest
      const shifted = normalizer === 'softmax' && Number.isFinite(top)
      const define = definitions[normalizer] as (typeof definitions)[string]
      // a score of −∞ is a masked one
      const seen = scores.flatMap((score, at) => (score === Number.NEGATIVE_INFINITY ? [] : [{ score, at }]))
      const { p, lse: relative } = define(
        seen.map(({ score }) => (shifted ? score - top : score)),
        null,
      )
      const nothing = top === Number.NEGATIVE_INFINITY
      for (let d = 0; d < width; d++) {
        const expected = nothing
          ? 0
          : seen.reduce((sum, { at }, i) => sum + (p[i] as number) * (v[at * width + d] as number), 0)
        expect(found[row * width + d], `output ${row} ${d}`).toBeCloseTo(expected, 4)
      }
      const total = nothing ? Number.NEGATIVE_INFINITY : shifted ? top + relative : relative
      if (!Number.isFinite(total) || Math.abs(total) < 100) expect(sums[row], `lse ${row}`).toBeCloseTo(total, 4)
      else expect((sums[row] as number) / total, `lse ${row}`).toBeCloseTo(1, 6)
    }
    if (gradients) {
      const dOutput = device.tensor(numbers(queries * width, 4), [1, queries, 1, width])
      const found = await attentionBackward(device, { ...request, output, lse, dOutput })
      for (const gradient of [found.dQuery, found.dKey, found.dValue])
        expect((await gradient.read()).every(Number.isFinite)).toBe(true)
    }
  }
  const given = { softmax, sigmoid, softpick }

  it('softmax of many queries, and its gradients', () => run(rows.length, 'softmax', true))
  it('softmax of few queries, over parts of the keys', () => run(8, 'softmax', false))
  it('sigmoid', () => run(rows.length, 'sigmoid', false))
  it('softpick', () => run(rows.length, 'softpick', false))
})
