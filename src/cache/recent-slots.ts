import type { PagedSequence } from '../attention/paged/paged-work.ts'

/**
 * Where a step's tokens go among the recent ones of a quantised cache: row · recentTokens + position mod recentTokens for
 * the newest of each sequence, −1 for those that newer ones of the same step would overwrite, and for tokens of none.
 */
export function recentSlots(sequences: readonly PagedSequence[], recentTokens: number, into: Int32Array): Int32Array {
  into.fill(-1)
  for (const { row, qBase, qLength, kLength } of sequences)
    for (let i = Math.max(0, qLength - recentTokens); i < qLength; i++)
      into[qBase + i] = row * recentTokens + ((kLength - qLength + i) % recentTokens)
  return into
}
