import type { GgufFacts } from './gguf-facts.ts'

/** Fields of configurations by the names that llama.cpp gives them, after the name of the architecture. */
const usual: Readonly<Record<string, string>> = {
  hidden_size: 'embedding_length',
  n_embd: 'embedding_length',
  d_model: 'embedding_length',
  num_hidden_layers: 'block_count',
  n_layer: 'block_count',
  n_layers: 'block_count',
  num_attention_heads: 'attention.head_count',
  n_head: 'attention.head_count',
  n_heads: 'attention.head_count',
  num_key_value_heads: 'attention.head_count_kv',
  num_kv_heads: 'attention.head_count_kv',
  n_head_kv: 'attention.head_count_kv',
  head_dim: 'attention.key_length',
  intermediate_size: 'feed_forward_length',
  n_inner: 'feed_forward_length',
  ffn_hidden_size: 'feed_forward_length',
  max_position_embeddings: 'context_length',
  n_positions: 'context_length',
  max_seq_len: 'context_length',
  seq_length: 'context_length',
  rms_norm_eps: 'attention.layer_norm_rms_epsilon',
  layer_norm_eps: 'attention.layer_norm_epsilon',
  layer_norm_epsilon: 'attention.layer_norm_epsilon',
  norm_eps: 'attention.layer_norm_epsilon',
  norm_epsilon: 'attention.layer_norm_epsilon',
  sliding_window: 'attention.sliding_window',
  attn_logit_softcapping: 'attn_logit_softcapping',
  final_logit_softcapping: 'final_logit_softcapping',
  use_parallel_residual: 'use_parallel_residual',
}

/** The fields of an architecture with their keys. */
export function ggufFields(facts: GgufFacts): Readonly<Record<string, string>> {
  return { ...usual, ...facts.fields }
}

/** Switches of configurations that tensors say by being there. */
export function switchesOf(has: (tensor: string) => boolean): Readonly<Record<string, boolean>> {
  const attention = has('blk.0.attn_q.bias') || has('blk.0.attn_qkv.bias')
  const qkNorm = has('blk.0.attn_q_norm.weight')
  return {
    tie_word_embeddings: !has('output.weight'),
    attention_bias: attention,
    qkv_bias: attention,
    use_qkv_bias: attention,
    use_bias: attention,
    bias: attention,
    attention_out_bias: has('blk.0.attn_output.bias'),
    mlp_bias: has('blk.0.ffn_up.bias'),
    use_qk_norm: qkNorm,
    qk_layernorm: qkNorm,
  }
}

/** Keys of rotary positions by the last part of their name in a configuration. */
const ropeKeys: Readonly<Record<string, string>> = {
  rope_theta: 'rope.freq_base',
  partial_rotary_factor: 'rope.dimension_count',
  rope_type: 'rope.scaling.type',
  factor: 'rope.scaling.factor',
  attention_factor: 'rope.scaling.attn_factor',
  original_max_position_embeddings: 'rope.scaling.original_context_length',
}

/** What a field of a configuration is called in a file. */
export function ggufLabel(ggufName: string, fields: Readonly<Record<string, string>>, name: string): string {
  if (name === 'bos_token_id' || name === 'eos_token_id') return `tokenizer.ggml.${name}`
  const last = name.split('.').at(-1) ?? name
  return `${ggufName}.${fields[name] ?? ropeKeys[last] ?? name}`
}
