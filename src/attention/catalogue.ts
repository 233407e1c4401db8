import type { Device, Tensor } from '../device/device.ts'
import type { AttentionCase } from './attention-case.ts'
import {
  type GatedLinearCase,
  gatedLinearAttentionCases,
  retentionCases,
} from './linear/gated-linear-attention.cases.ts'
import { type GatedLinearAttentionOptions, gatedLinearAttention } from './linear/gated-linear-attention.ts'
import { retention } from './linear/retention.ts'
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

/** An algorithm that carries a state [D, Dv] instead of keys and values. */
export interface LinearCatalogueEntry {
  readonly name: string
  readonly summary: string
  readonly run: (device: Device, options: GatedLinearAttentionOptions) => { output: Tensor; finalState: Tensor }
  readonly cases: readonly GatedLinearCase[]
}

/** The catalogue of linear attention: one line per algorithm. */
export const linearCatalogue: readonly LinearCatalogueEntry[] = [
  {
    name: 'gated-linear-attention',
    summary: 'a state that decays by channel or by token, in chunks or token by token',
    run: gatedLinearAttention,
    cases: gatedLinearAttentionCases,
  },
  { name: 'retention', summary: 'a state that decays by head, constantly', run: retention, cases: retentionCases },
]
