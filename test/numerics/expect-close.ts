import { expect } from 'vitest'

const floors = { f32: 1e-6, f16: 1e-3, bf16: 8e-3 } as const

export type FloatDType = keyof typeof floors

/** Root of the mean squared difference over that of the expected numbers; plain, when those are all 0. */
export function relativeRms(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [error, norm] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    error += ((got[i] as number) - (expected[i] as number)) ** 2
    norm += (expected[i] as number) ** 2
  }
  return Math.sqrt(error / (norm || expected.length || 1))
}

/**
 * FlashAttention's rule: the relative RMS error is at most twice that of a naive implementation in the same dtype, with a
 * floor per dtype. The message names the tensor, both errors, the worst index and the seed.
 */
export function expectClose(tensor: {
  readonly name: string
  readonly got: ArrayLike<number>
  readonly expected: ArrayLike<number>
  readonly naive: ArrayLike<number>
  readonly dtype: FloatDType
  readonly seed: number
}): void {
  const { name, got, expected, naive, dtype, seed } = tensor
  expect(got.length, `${name}: number of elements`).toBe(expected.length)
  const [error, naiveError] = [relativeRms(got, expected), relativeRms(naive, expected)]
  const bound = Math.max(2 * naiveError, floors[dtype])
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    const distance = (at: number) => Math.abs((got[at] as number) - (expected[at] as number))
    if (!(distance(i) <= distance(worst))) worst = i
    if (Number.isNaN(got[i])) break
  }
  const at = `worst at ${worst}: ${got[worst]}, expected ${expected[worst]}`
  const message = `${name} ${dtype}: error ${error}, naive ${naiveError}, ${at}, seed ${seed}`
  expect(error <= bound, message).toBe(true)
}
