import { afterAll, describe, expect, it } from 'vitest'
import { definitions, normalizers } from '../../test/conformance/normalizer-definitions.ts'
import { openDevice } from '../device/index.ts'
import { checkNormalizer, type NormalizerReference } from './check-normalizer.ts'
import type { ScoreMod } from './hooks.ts'
import { softmax } from './normalizers/softmax.ts'

const device = await openDevice('wasm', { wasm: { threads: 1 } })
afterAll(() => device.dispose())
const definition =
  (name: string): NormalizerReference =>
  (scores) =>
    (definitions[name] as (typeof definitions)[string])(scores, null)

describe('checkNormalizer', () => {
  it.each(Object.entries(normalizers))('passes %s, which is what it says', async (name, normalizer) => {
    const errors = await checkNormalizer(device, normalizer, definition(name))
    for (const error of Object.values(errors)) expect(error).toBeLessThan(2e-5)
    expect(errors.gradients).toBeGreaterThan(0)
  })

  it('passes a score function that is what it says, and names one that is not', async () => {
    const scoreMod: ScoreMod = ({ score, q, k }) => score.mul(0.5).sub(q.sub(k).abs().cast('f32').mul(0.1))
    const right = (score: number, q: number, k: number) => score * 0.5 - Math.abs(q - k) * 0.1
    await checkNormalizer(device, softmax, definition('softmax'), { score: { scoreMod, reference: right } })
    const wrong = (score: number, q: number, k: number) => right(score, q, k) + (k === 2 ? 0.01 : 0)
    await expect(
      checkNormalizer(device, softmax, definition('softmax'), { score: { scoreMod, reference: wrong } }),
    ).rejects.toThrow(/^checkNormalizer: softmax: the output of 3 queries and 5 keys is off by \d/)
  })

  it('names what is off: weights, lse alone, and gradients that do not belong to the weights', async () => {
    await expect(checkNormalizer(device, normalizers.halved, definition('softmax'))).rejects.toThrow(/the output of/)
    const shifted: NormalizerReference = (scores) => {
      const { p, lse } = definition('softmax')(scores)
      return { p, lse: lse + 0.001 }
    }
    await expect(checkNormalizer(device, softmax, shifted)).rejects.toThrow(
      /: lse of 3 queries and 5 keys is off by .* most at element \d: .* where the reference has/,
    )
    const forgetful = { ...softmax, resume: () => ({ m: softmax.init(1).l as never, l: softmax.init(1).l as never }) }
    await expect(checkNormalizer(device, forgetful, definition('softmax'))).rejects.toThrow(/the gradient of query/)
    await checkNormalizer(device, forgetful, definition('softmax'), { gradients: false })
  })

  it('refuses options that it has not', async () => {
    const options = { gradient: false } as never
    await expect(checkNormalizer(device, softmax, definition('softmax'), options)).rejects.toThrow(
      /has no field gradient/,
    )
  })
})
