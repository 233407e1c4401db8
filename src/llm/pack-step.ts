import type { CachedSequence } from '../cache/cached-sequence.ts'
import type { StepInput } from '../model/decoder-runner.ts'

/** The next `count` tokens of a sequence, which has room for them; logits are asked for at the last `rows` of them. */
export interface PackedShare {
  readonly cached: CachedSequence
  /** the tokens, none where the device has them */
  readonly tokens: readonly number[]
  readonly count: number
  readonly rows: number
}

/** Shares of a step as the decoder takes them: packed one behind the other, in their order. */
export function packStep(
  prefill: readonly PackedShare[],
  decode: readonly PackedShare[],
): StepInput & { ids: Int32Array } {
  const shares = [...prefill, ...decode]
  const total = shares.reduce((sum, { count }) => sum + count, 0)
  const ids = new Int32Array(total)
  const positions = new Int32Array(total)
  const slots = new Int32Array(total)
  const rows: number[] = []
  let base = 0
  const placed = shares.map((share) => {
    const { cached, tokens, count } = share
    const from = cached.length
    ids.set(tokens, base)
    for (let i = 0; i < count; i++) positions[base + i] = from + i
    cached.slots(from, from + count, slots, base)
    for (let i = count - share.rows; i < count; i++) rows.push(base + i)
    base += count
    const recentFrom = cached.recentFrom(count)
    return { row: cached.row, qBase: base - count, qLength: count, kLength: from + count, recentFrom }
  })
  return {
    ids,
    positions,
    slots,
    prefill: placed.slice(0, prefill.length),
    decode: placed.slice(prefill.length),
    rows,
  }
}
