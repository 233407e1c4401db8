import type { Captured, ScoreMod } from '../hooks.ts'

/**
 * score + table[head, k − q + offset]: a learned bias per relative position (Shaw, Uszkoreit and Vaswani, 2018, arXiv
 * 1803.02155; T5's form, arXiv 1910.10683). `table` is f32 [H, N]; outside it the bias is 0.
 */
export function relativeTable(table: Captured, offset: number): ScoreMod {
  return ({ score, q, k, head }) => score.add(table.at(head, k.sub(q).add(offset)))
}
