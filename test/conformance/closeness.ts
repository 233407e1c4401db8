const floors = { f32: 1e-6, f16: 1e-3, bf16: 8e-3 } as const

/**
 * FlashAttention's rule: the relative RMS error is at most twice that of a naive implementation in the same dtype, with a
 * floor per dtype; infinities must be where they are expected. Returns what is wrong, or null.
 */
export function closenessFault(tensor: {
  readonly name: string
  readonly dtype: 'f32' | 'f16' | 'bf16'
  readonly got: ArrayLike<number>
  readonly expected: ArrayLike<number>
  readonly naive: ArrayLike<number>
}): string | null {
  const { name, dtype, got, expected, naive } = tensor
  if (got.length !== expected.length) return `${name}: ${got.length} elements, expected ${expected.length}`
  const [ours, theirs] = [relativeRms(got, expected), relativeRms(naive, expected)]
  const bound = Math.max(2 * theirs.error, floors[dtype])
  if (ours.error <= bound) return null
  const at = `worst at ${ours.worst}: ${got[ours.worst]}, expected ${expected[ours.worst]}`
  return `${name} ${dtype}: error ${ours.error.toExponential(2)}, naive ${theirs.error.toExponential(2)}, ${at}`
}

/** Root of the mean squared difference over that of the expected numbers (plain when those are all 0), and where it is worst. */
export function relativeRms(got: ArrayLike<number>, expected: ArrayLike<number>): { error: number; worst: number } {
  let [error, norm, worst, largest] = [0, 0, 0, -1]
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [got[i] as number, expected[i] as number]
    if (a === b && !Number.isFinite(b)) continue
    const difference = Number.isFinite(b) ? Math.abs(a - b) : Number.NaN
    if (Number.isNaN(difference) || difference > largest) {
      worst = i
      largest = difference
    }
    if (Number.isNaN(difference)) return { error: Number.NaN, worst }
    error += difference ** 2
    norm += b ** 2
  }
  return { error: Math.sqrt(error / (norm || expected.length || 1)), worst }
}
