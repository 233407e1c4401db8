import type { AttentionCase } from '../attention-case.ts'
import type { Captured } from '../hooks.ts'
import { causal, causalBottomRight, document, neighborhood1d, slidingWindow } from '../masks/index.ts'
import { softpick } from '../normalizers/softpick.ts'
import { alibi, chainScores, gaussianDistance, softCap } from '../scores/index.ts'

const square = (tokens: number, numHeads: number, numKvHeads: number, headDim: number) => ({
  batch: 1,
  queries: tokens,
  keys: tokens,
  numHeads,
  numKvHeads,
  headDim,
  valueDim: headDim,
})
const causalHooks = {
  hooks: () => ({ maskMod: causal }),
  plain: { allowed: ({ q, k }: { q: number; k: number }) => k <= q },
}

/** Inputs chosen to expose faults: lengths around tile borders, odd widths, every grouping, packing, hooks together. */
export const flashCases: readonly AttentionCase[] = [
  { name: 'one token', ...square(1, 2, 2, 16), ...causalHooks },
  { name: '63 tokens', ...square(63, 2, 2, 32), ...causalHooks },
  { name: '65 tokens, head width 40', ...square(65, 4, 2, 40), ...causalHooks },
  { name: 'head width 3, value width 5', ...square(70, 2, 1, 3), valueDim: 5 },
  { name: 'head width 256', ...square(33, 1, 1, 256), ...causalHooks },
  { name: 'value wider than head', ...square(40, 2, 2, 16), valueDim: 96 },
  { name: 'two sequences, multi-query', ...square(50, 6, 1, 24), batch: 2, ...causalHooks },
  {
    name: 'more queries than keys',
    ...square(90, 2, 2, 32),
    keys: 37,
    hooks: () => ({ maskMod: causalBottomRight }),
    plain: { allowed: ({ q, k, qLength, kLength }) => k <= q + kLength - qLength },
  },
  {
    name: 'packed sequences, one of them empty',
    ...square(130, 4, 2, 32),
    cuSeqlensQ: [0, 1, 1, 66, 130],
    ...causalHooks,
  },
  {
    name: 'packed cross-attention, one without keys',
    ...square(40, 2, 2, 16),
    keys: 75,
    cuSeqlensQ: [0, 17, 20, 40],
    cuSeqlensK: [0, 64, 64, 75],
  },
  {
    name: 'sinks and a sliding window',
    ...square(100, 4, 4, 32),
    sinks: true,
    hooks: () => ({ maskMod: slidingWindow(20, 4) }),
    plain: { allowed: ({ q, k }) => k >= q - 20 && k <= q + 4 },
  },
  {
    name: 'a mask by head and batch',
    ...square(70, 4, 2, 16),
    batch: 2,
    hooks: () => ({
      maskMod: ({ q, k, head, batch }) =>
        q
          .sub(k)
          .abs()
          .le(head.mul(16).add(batch.mul(3))),
    }),
    plain: { allowed: ({ q, k, head, batch }) => Math.abs(q - k) <= head * 16 + batch * 3 },
  },
  {
    name: 'scores chained, with documents',
    ...square(96, 2, 2, 32),
    captured: {
      slopes: { shape: [2], reach: 0.5 },
      ids: { shape: [96], integers: Array.from({ length: 96 }, (_, i) => Math.floor(i / 29)) },
    },
    hooks: ({ slopes, ids }) => ({
      scoreMod: chainScores(alibi(slopes as Captured), softCap(4), gaussianDistance(30)),
      maskMod: document(ids as Captured),
    }),
    plain: {
      modify: (s, { q, k, head }, { slopes }) =>
        4 * Math.tanh((s + (slopes?.[head] as number) * (k - q)) / 4) - (k - q) ** 2 / (2 * 30 * 30),
      allowed: ({ q, k }, { ids }) => ids?.[q] === ids?.[k],
    },
  },
  {
    name: 'rows that attend to nothing',
    ...square(80, 2, 2, 16),
    hooks: () => ({ maskMod: ({ q, k }) => q.mod(3).eq(0).and(k.gt(q)) }),
    plain: { allowed: ({ q, k }) => q % 3 === 0 && k > q },
  },
  {
    name: 'a block mask of 16 × 32 blocks',
    ...square(96, 2, 2, 32),
    blockMask: { blockSize: [16, 32], blocks: Uint8Array.from([1, 0, 0, 1, 1, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 2, 2, 1]) },
    hooks: () => ({ maskMod: causal }),
    plain: {
      allowed: ({ q, k }) => {
        const cell = [1, 0, 0, 1, 1, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 2, 2, 1][Math.floor(q / 16) * 3 + Math.floor(k / 32)]
        return cell === 2 || (cell === 1 && k <= q)
      },
    },
  },
  {
    name: 'neighbourhood, softpick',
    ...square(70, 2, 2, 16),
    normalizer: softpick as AttentionCase['normalizer'] & {},
    hooks: () => ({ maskMod: neighborhood1d(70, 9) }),
    plain: { allowed: ({ q, k }) => Math.abs(k - Math.min(Math.max(q, 4), 65)) <= 4 },
  },
]
