import type { DecoderSpec } from '../decoder-spec.ts'
import type { WeightNames } from './weight-names.ts'

/** What of a GGUF file decides how its keys are read: keys of the architecture by the name after it, and which tensors it has. */
export interface GgufContents {
  key(name: string): unknown
  has(tensor: string): boolean
}

/**
 * What llama.cpp has otherwise for one architecture than for all: beside the architecture as data, so that reading and
 * writing have no cases. What is absent is as usual.
 */
export interface GgufFacts {
  /** keys of fields beyond those of all (`gguf-fields.ts`), or in place of them; they are what is written */
  readonly fields?: Readonly<Record<string, string>>
  /** fields without a key of their own: what llama.cpp knows, or what tensors say by being there */
  readonly means?: (file: GgufContents) => Readonly<Record<string, unknown>>
  /** keys that have one value: it is written, and another one is refused */
  readonly only?: Readonly<Record<string, number | boolean>>
  /** keys that say what others or tensors say too */
  readonly idle?: readonly string[]
  /** names that differ; `has` asks for tensors of a file that is read, and is absent where one is written */
  readonly names?: (spec: DecoderSpec, has?: (tensor: string) => boolean) => WeightNames
  /** rows of queries and keys are reordered, so that rope turns neighbours where Hugging Face's turns halves */
  readonly reordered?: true
  /** a divisor of each rotary frequency (`rope_freqs`) is read */
  readonly divisors?: true
  /** layers with a window turn without scaling, by a base of their own: this one where files say none, null for that of all */
  readonly windowBase?: number | null
  /** what written files have in one tensor: queries, keys and values; gate and up */
  readonly fused?: readonly ('attention' | 'mlp')[]
  /** biases that llama.cpp looks for beside those of queries, keys and values */
  readonly biases?: readonly ('output' | 'mlp')[]
  /** what llama.cpp does not open, or computes otherwise, although a file can say it: what it has instead */
  readonly refused?: (spec: DecoderSpec) => string | undefined
}

/** llama.cpp takes the width of the model for that of all heads. */
export function headsFillWidth({ layers, hiddenSize }: DecoderSpec): string | undefined {
  const [{ attention } = { attention: null }] = layers
  const fills = !attention || attention.numHeads * attention.headDim === hiddenSize
  return fills ? undefined : 'heads that fill the width of the model'
}

/** llama.cpp takes as many keys as queries for granted. */
export function keysForAllHeads({ layers }: DecoderSpec): string | undefined {
  const all = layers.every(({ attention }) => attention.numHeads === attention.numKvHeads)
  return all ? undefined : 'as many heads of keys as of queries'
}

/** Sublayers side by side over one norm, which is there once. */
export const oneNorm: WeightNames = { 'layers.N.norms.beforeMlp': 'blk.N.attn_norm' }

/** The norm before the MLP under the name of one after attention. */
export const laterNorm: WeightNames = { 'layers.N.norms.beforeMlp': 'blk.N.post_attention_norm' }

/** Experts chosen by sigmoid scores, as llama.cpp numbers ways to score. */
export const sigmoidScores = { expert_gating_func: 2 } as const

/** The layers that foresee further tokens are counted with the others, and not run. */
export function ranLayers({ key }: GgufContents): Readonly<Record<string, unknown>> {
  return {
    num_hidden_layers: Number(key('block_count')) - Number(key('nextn_predict_layers') ?? 0),
    first_k_dense_replace: key('leading_dense_block_count') ?? 0,
  }
}

/** What all mixtures of DeepSeek-V3's kind say. */
export const deepseekFields = {
  n_routed_experts: 'expert_count',
  num_experts_per_tok: 'expert_used_count',
  moe_intermediate_size: 'expert_feed_forward_length',
  n_shared_experts: 'expert_shared_count',
  first_k_dense_replace: 'leading_dense_block_count',
  routed_scaling_factor: 'expert_weights_scale',
  norm_topk_prob: 'expert_weights_norm',
  n_group: 'expert_group_count',
  topk_group: 'expert_group_used_count',
} as const
