import type { AttentionCase } from './attention-case.ts'
import { flashCases } from './softmax/flash.cases.ts'
import { splitKvCases } from './softmax/split-kv.cases.ts'

/** An algorithm that `attention` runs, and the inputs that it is tested and timed on. */
export interface CatalogueEntry {
  readonly name: 'flash' | 'split-kv'
  readonly summary: string
  readonly cases: readonly AttentionCase[]
}

/** The catalogue of exact attention: one line per algorithm. Tests, benchmarks and the CLI read it. */
export const catalogue: readonly CatalogueEntry[] = [
  {
    name: 'flash',
    summary: 'exact attention of many queries, fused, with hooks and block skipping',
    cases: flashCases,
  },
  {
    name: 'split-kv',
    summary: 'exact attention of few queries over many keys, split along the keys',
    cases: splitKvCases,
  },
]
