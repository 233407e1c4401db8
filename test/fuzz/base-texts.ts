/** Configurations of the smallest models, and small tokenizers of each kind, made here. */

const sizes = {
  vocab_size: 48,
  hidden_size: 32,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  rope_theta: 10000,
  bos_token_id: 0,
  eos_token_id: 1,
  tie_word_embeddings: false,
}

export const baseConfigs: readonly Readonly<Record<string, unknown>>[] = [
  {
    ...sizes,
    model_type: 'llama',
    attention_bias: false,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 4,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 16,
    },
  },
  {
    model_type: 'gpt2',
    vocab_size: 48,
    n_embd: 32,
    n_head: 2,
    n_layer: 2,
    n_positions: 64,
    activation_function: 'gelu_new',
    layer_norm_epsilon: 1e-5,
    bos_token_id: 0,
    eos_token_id: 1,
  },
  {
    ...sizes,
    model_type: 'gemma3_text',
    head_dim: 16,
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 16,
    sliding_window: 8,
    layer_types: ['sliding_attention', 'full_attention'],
    rope_local_base_freq: 10000,
    rope_scaling: { rope_type: 'linear', factor: 2 },
    tie_word_embeddings: true,
  },
  {
    ...sizes,
    model_type: 'qwen3',
    head_dim: 16,
    rope_scaling: { type: 'yarn', factor: 2, original_max_position_embeddings: 32 },
  },
  {
    ...sizes,
    model_type: 'phi3',
    original_max_position_embeddings: 32,
    rope_scaling: {
      type: 'longrope',
      short_factor: [1, 1, 1, 1.5, 2, 2, 2.5, 3],
      long_factor: [1, 2, 3, 4, 5, 6, 7, 8],
    },
    sliding_window: null,
  },
]

const letters = [...'abcdefghijklmnopqrstuvwxyz']
const ends = [
  { id: 0, content: '<s>', special: true, normalized: false, single_word: false, lstrip: false, rstrip: false },
  { id: 1, content: '</s>', special: true, normalized: false, single_word: false, lstrip: false, rstrip: false },
]
const idsOf = (tokens: readonly string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]))

const byteLevel = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: ends,
  normalizer: { type: 'NFC' },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '\\p{N}{1,3}| ?\\p{L}+|\\s+' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
  },
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: true,
    vocab: idsOf(['<s>', '</s>', ...letters, 'Ġ', 'th', 'the', 'Ġa', 'an', 'in', 'Ġthe']),
    merges: [
      ['t', 'h'],
      ['th', 'e'],
      ['Ġ', 'a'],
      ['a', 'n'],
      ['i', 'n'],
      ['Ġ', 'the'],
    ],
  },
}

const pieces = {
  version: '1.0',
  added_tokens: ends,
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: idsOf(['<s>', '</s>', '<unk>', '<0x0A>', '<0x41>', ...letters, '▁', '▁t', 'he', '▁the']),
    merges: ['▁ t', 'h e', '▁t he'],
  },
}

const unigram = {
  ...pieces,
  added_tokens: ends,
  normalizer: { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' },
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  model: {
    type: 'Unigram',
    unk_id: 2,
    byte_fallback: false,
    vocab: ['<s>', '</s>', '<unk>', ...letters, '▁', '▁the'].map((token, i) => [token, -i / 4]),
  },
}

export const baseTokenizers: readonly Readonly<Record<string, unknown>>[] = [byteLevel, pieces]
/** those that GGUF has no form for are tried as tokenizer.json alone */
export const moreTokenizers: readonly Readonly<Record<string, unknown>>[] = [unigram]

export const templateText =
  "{% for m in messages %}{{ '<s>' + m['role'] + ' ' + m['content'] | trim + '</s>' }}{% endfor %}{% if add_generation_prompt %}a {% endif %}"
