import type { DecoderSpec, LayerSpec } from '../decoder-spec.ts'
import type { TensorTable } from '../files/tensor-table.ts'
import type { Architecture, FileWeight, StoredWeight, WeightNames } from './architecture.ts'
import { halvesOfPairs, rowsFrom } from './fused-rows.ts'
import type { GgufFacts } from './gguf-facts.ts'
import type { FileNames } from './locate-weights.ts'

const experts = ({ mixture }: LayerSpec) => mixture?.experts ?? 0

function stackOf(tensor: string, stacked: (layer: LayerSpec) => number): StoredWeight {
  return { tensor, stacked }
}

/** Norms of queries and keys with a weight for each head. */
const normsOfHeads: WeightNames = {
  'layers.N.attention.queryNorm': stackOf('blk.N.attn_q_norm', ({ attention }) => attention.numHeads),
  'layers.N.attention.keyNorm': stackOf('blk.N.attn_k_norm', ({ attention }) => attention.numKvHeads),
}

/** llama.cpp's names, the same for all architectures. */
const plain: WeightNames = {
  tokenEmbedding: 'token_embd',
  positionEmbedding: 'position_embd',
  embeddingNorm: 'token_embd_norm',
  finalNorm: 'output_norm',
  'layers.N.attention.query': 'blk.N.attn_q',
  'layers.N.attention.key': 'blk.N.attn_k',
  'layers.N.attention.value': 'blk.N.attn_v',
  'layers.N.attention.output': 'blk.N.attn_output',
  'layers.N.attention.queryNorm': 'blk.N.attn_q_norm',
  'layers.N.attention.keyNorm': 'blk.N.attn_k_norm',
  'layers.N.attention.outputGate': 'blk.N.attn_gate',
  'layers.N.attention.sinks': 'blk.N.attn_sinks',
  'layers.N.mlp.gate': 'blk.N.ffn_gate',
  'layers.N.mlp.up': 'blk.N.ffn_up',
  'layers.N.mlp.down': 'blk.N.ffn_down',
  'layers.N.norms.beforeAttention': 'blk.N.attn_norm',
  'layers.N.norms.afterAttention': 'blk.N.post_attention_norm',
  'layers.N.norms.beforeMlp': 'blk.N.ffn_norm',
  'layers.N.norms.afterMlp': 'blk.N.post_ffw_norm',
  'layers.N.mixture.router': 'blk.N.ffn_gate_inp',
  'layers.N.mixture.selectionBias': { tensor: 'blk.N.exp_probs_b.bias', bare: true },
  'layers.N.mixture.sharedGate': 'blk.N.ffn_gate_inp_shexp',
  'layers.N.mixture.shared.gate': 'blk.N.ffn_gate_shexp',
  'layers.N.mixture.shared.up': 'blk.N.ffn_up_shexp',
  'layers.N.mixture.shared.down': 'blk.N.ffn_down_shexp',
  'layers.N.mixture.experts.gate': stackOf('blk.N.ffn_gate_exps', experts),
  'layers.N.mixture.experts.up': stackOf('blk.N.ffn_up_exps', experts),
  'layers.N.mixture.experts.down': stackOf('blk.N.ffn_down_exps', experts),
}

/**
 * The names of a GGUF file: queries, keys and values in one tensor, and gate and up in another, where it has them so; the
 * reordered rows of queries and keys are put back into Hugging Face's order when they are read, whole rows at a time.
 */
export function ggufNames(
  table: Pick<TensorTable, 'has'>,
  { gguf: facts = {} }: Pick<Architecture, 'gguf'>,
  spec: DecoderSpec,
): FileNames {
  const has = (tensor: string) => table.has(tensor)
  const dense = spec.layers.findIndex(({ mixture }) => !mixture)
  return namesWith(facts, spec, {
    attention: has('blk.0.attn_qkv.weight'),
    mlp: dense >= 0 && spec.layers[dense]?.mlp.gated === true && !has(`blk.${dense}.ffn_gate.weight`),
    has,
  })
}

/** The names of a file that is to be written. */
export function writtenGgufNames({ gguf: facts = {} }: Pick<Architecture, 'gguf'>, spec: DecoderSpec): FileNames {
  const fused = (part: 'attention' | 'mlp') => facts.fused?.includes(part) ?? false
  return namesWith(facts, spec, { attention: fused('attention'), mlp: fused('mlp') })
}

function namesWith(
  facts: GgufFacts,
  spec: DecoderSpec,
  fused: { readonly attention: boolean; readonly mlp: boolean; readonly has?: (tensor: string) => boolean },
): FileNames {
  const names: WeightNames = {
    ...plain,
    ...(facts.reordered && reorderedNames),
    ...(spec.layers[0]?.attention.qkNorm?.over === 'each head' && normsOfHeads),
    ...(fused.attention && rowsFrom('blk.N.attn_qkv', 'attention')),
    ...(fused.mlp && rowsFrom('blk.N.ffn_up', 'mlp')),
    ...facts.names?.(spec, fused.has),
  }
  return { names, prefix: '', head: 'output' }
}

const reorderedNames: Readonly<Record<string, FileWeight>> = {
  'layers.N.attention.query': {
    tensor: 'blk.N.attn_q',
    part: ({ attention }) => halvesOfPairs(attention.numHeads, attention.headDim),
  },
  'layers.N.attention.key': {
    tensor: 'blk.N.attn_k',
    part: ({ attention }) => halvesOfPairs(attention.numKvHeads, attention.headDim),
  },
}
