import type { DecoderSpec } from '../decoder-spec.ts'
import type { TensorTable } from '../files/tensor-table.ts'
import type { FileWeight, WeightNames } from './architecture.ts'
import { halvesOfPairs, rowsFrom } from './fused-rows.ts'
import type { FileNames } from './locate-weights.ts'

/** llama.cpp's names, the same for all architectures. */
const plain: WeightNames = {
  tokenEmbedding: 'token_embd',
  positionEmbedding: 'position_embd',
  finalNorm: 'output_norm',
  'layers.N.attention.query': 'blk.N.attn_q',
  'layers.N.attention.key': 'blk.N.attn_k',
  'layers.N.attention.value': 'blk.N.attn_v',
  'layers.N.attention.output': 'blk.N.attn_output',
  'layers.N.attention.queryNorm': 'blk.N.attn_q_norm',
  'layers.N.attention.keyNorm': 'blk.N.attn_k_norm',
  'layers.N.mlp.gate': 'blk.N.ffn_gate',
  'layers.N.mlp.up': 'blk.N.ffn_up',
  'layers.N.mlp.down': 'blk.N.ffn_down',
  'layers.N.norms.beforeAttention': 'blk.N.attn_norm',
  'layers.N.norms.afterAttention': 'blk.N.post_attention_norm',
  'layers.N.norms.beforeMlp': 'blk.N.ffn_norm',
  'layers.N.norms.afterMlp': 'blk.N.post_ffw_norm',
}

/** Architectures whose rows of queries and keys llama.cpp reorders, so that rope turns neighbours. */
const turnsNeighbours: ReadonlySet<string> = new Set(['llama', 'mistral', 'smollm3'])

/**
 * The names of a GGUF file: queries, keys and values in one tensor, and gate and up in another, where it has them so; the
 * reordered rows of queries and keys are put back into Hugging Face's order when they are read, whole rows at a time.
 */
export function ggufNames(table: Pick<TensorTable, 'has'>, spec: DecoderSpec): FileNames {
  const fusedMlp = spec.layers[0]?.mlp.gated && !table.has('blk.0.ffn_gate.weight')
  const reordered = turnsNeighbours.has(spec.architecture)
  const names: WeightNames = {
    ...plain,
    ...(reordered ? reorderedNames : {}),
    ...(table.has('blk.0.attn_qkv.weight') ? rowsFrom('blk.N.attn_qkv', 'attention') : {}),
    ...(fusedMlp ? rowsFrom('blk.N.ffn_up', 'mlp') : {}),
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
