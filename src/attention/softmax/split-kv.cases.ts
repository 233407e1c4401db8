import type { AttentionCase } from '../attention-case.ts'
import type { Captured } from '../hooks.ts'
import { causalBottomRight, slidingWindow } from '../masks/index.ts'
import { alibi } from '../scores/index.ts'

const decode = (keys: number, numHeads: number, numKvHeads: number, headDim: number) => ({
  batch: 1,
  queries: 1,
  keys,
  numHeads,
  numKvHeads,
  headDim,
  valueDim: headDim,
})

/** Few queries over more keys: shares of one tile, odd lengths, rows of several queries and heads in one tile. */
export const splitKvCases: readonly AttentionCase[] = [
  { name: 'one query, 1000 keys', ...decode(1000, 4, 2, 64) },
  { name: 'one query, one key', ...decode(1, 4, 1, 16) },
  { name: 'multi-query, 129 keys, head width 40', ...decode(129, 12, 1, 40) },
  { name: 'three sequences', ...decode(300, 2, 2, 32), batch: 3, valueDim: 48 },
  {
    name: 'five queries at the end of the cache',
    ...decode(200, 6, 2, 32),
    queries: 5,
    hooks: () => ({ maskMod: causalBottomRight }),
    plain: { allowed: ({ q, k, qLength, kLength }) => k <= q + kLength - qLength },
  },
  {
    name: 'packed decode, one without keys, sinks',
    ...decode(260, 4, 4, 16),
    queries: 4,
    sinks: true,
    cuSeqlensQ: [0, 1, 2, 3, 4],
    cuSeqlensK: [0, 100, 100, 101, 260],
  },
  {
    name: 'by head: a window and a score',
    ...decode(400, 8, 2, 32),
    captured: { slopes: { shape: [8], reach: 0.05 } },
    hooks: ({ slopes }) => ({
      scoreMod: alibi(slopes as Captured),
      maskMod: ({ k, head, kLength }) => k.ge(kLength.sub(head.mul(40).add(7))),
    }),
    plain: {
      modify: (s, { q, k, head }, { slopes }) => s + (slopes?.[head] as number) * (k - q),
      allowed: ({ k, head, kLength }) => k >= kLength - head * 40 - 7,
    },
  },
  {
    name: 'a window that leaves most splits empty',
    ...decode(700, 2, 1, 32),
    queries: 3,
    hooks: () => ({ maskMod: slidingWindow(5, 2) }),
    plain: { allowed: ({ q, k }) => k >= q - 5 && k <= q + 2 },
  },
]
