import { describe, expect, it } from 'vitest'
import { checkSampling } from './check-sampling.ts'
import type { SamplingOptions } from './generation.ts'

describe('checkSampling', () => {
  it('fills in what was not given', () => {
    expect(checkSampling('generate', { seed: 5, topP: 0.5, minP: undefined } as unknown as SamplingOptions)).toEqual({
      temperature: 1,
      topK: 0,
      topP: 0.5,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      seed: 5,
    })
  })
  it('draws a seed, another one each time', () => {
    const seeds = Array.from({ length: 8 }, () => checkSampling('generate', {}).seed)
    expect(new Set(seeds).size).toBeGreaterThan(1)
    for (const seed of seeds) expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true)
  })
  it('takes the ends of every range', () => {
    expect(() => checkSampling('generate', { temperature: 0, topK: 0, topP: 1, minP: 1, seed: 0 })).not.toThrow()
    expect(() => checkSampling('generate', { topP: 0, seed: 2 ** 32 - 1, presencePenalty: -2 })).not.toThrow()
  })
  it.each<[unknown, RegExp]>([
    [{ temperature: -0.1 }, /generate: sampling\.temperature must be a number from 0 to 100, got -0\.1/],
    [{ temperature: Number.NaN }, /temperature .*got NaN/],
    [{ temperature: Number.POSITIVE_INFINITY }, /temperature .*got Infinity/],
    [{ topK: 1.5 }, /topK must be a whole number .*got 1\.5/],
    [{ topK: -1 }, /topK .*got -1/],
    [{ topP: 1.01 }, /topP .*got 1\.01/],
    [{ minP: 2 }, /minP .*got 2/],
    [{ repetitionPenalty: 0 }, /repetitionPenalty must be a number from 0.01 to 100, got 0/],
    [{ presencePenalty: 3 }, /presencePenalty .*got 3/],
    [{ frequencyPenalty: '1' }, /frequencyPenalty .*got "1"/],
    [{ seed: 2 ** 32 }, /seed .*got 4294967296/],
    [{ seed: null }, /seed .*got null/],
    [{ topk: 3 }, /sampling has no field topk; did you mean topK\?/],
    [null, /sampling must be an object, got null/],
  ])('refuses %j', (options, message) => {
    expect(() => checkSampling('generate', options as SamplingOptions)).toThrow(message)
    expect(() => checkSampling('generate', options as SamplingOptions)).toThrow(
      expect.objectContaining({ code: 'argument' }),
    )
  })
})
