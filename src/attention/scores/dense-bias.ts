import type { Captured, ScoreMod } from '../hooks.ts'

/** score + bias[head, q, k]; `bias` is [H, T, S], or [B, H, T, S] with one per sequence. Grows with tokens²: it is the caller's. */
export function denseBias(bias: Captured): ScoreMod {
  const shared = bias.shape.length === 3
  return ({ score, q, k, head, batch }) => score.add(shared ? bias.at(head, q, k) : bias.at(batch, head, q, k))
}
