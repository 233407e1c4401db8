import { type ByteSource, bytesSource } from '../../src/model/files/byte-source.ts'
import { writeSafetensors } from '../../src/model/files/write-safetensors.ts'

/** The smallest Llama: one layer, three tokens; its files can be spoilt one at a time. */
export const smallConfig = {
  model_type: 'llama',
  hidden_size: 4,
  intermediate_size: 8,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  num_hidden_layers: 1,
  vocab_size: 3,
  max_position_embeddings: 16,
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 1,
}

export const smallTokenizer = {
  added_tokens: [{ id: 1, content: '<end>', special: true }],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, b: 2 }, merges: [] },
}

export const smallShapes: Readonly<Record<string, readonly number[]>> = {
  'model.embed_tokens.weight': [3, 4],
  'model.norm.weight': [4],
  'model.layers.0.input_layernorm.weight': [4],
  'model.layers.0.post_attention_layernorm.weight': [4],
  'model.layers.0.self_attn.q_proj.weight': [4, 4],
  'model.layers.0.self_attn.k_proj.weight': [2, 4],
  'model.layers.0.self_attn.v_proj.weight': [2, 4],
  'model.layers.0.self_attn.o_proj.weight': [4, 4],
  'model.layers.0.mlp.gate_proj.weight': [8, 4],
  'model.layers.0.mlp.up_proj.weight': [8, 4],
  'model.layers.0.mlp.down_proj.weight': [4, 8],
}

/** Its weights as a safetensors file (`dtype` as it is declared): element i of the n-th tensor is n + i / 100. */
export async function smallWeights(
  shapes = smallShapes,
  dtype: 'f32' | 'i32' = 'f32',
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  const sink = { write: async (bytes: Uint8Array) => void chunks.push(bytes.slice()) }
  const tensors = Object.entries(shapes).map(([name, shape], seed) => {
    const size = shape.reduce((product, n) => product * n, 1)
    const data = Float32Array.from({ length: size }, (_, i) => seed + i / 100)
    return { name, dtype, shape, read: async () => new Uint8Array(data.buffer) }
  })
  await writeSafetensors(sink, tensors)
  return new Uint8Array(Buffer.concat(chunks))
}

/** The files of its folder: bytes, texts, or values that are written as JSON. */
export async function smallFiles(): Promise<Record<string, unknown>> {
  return { 'config.json': smallConfig, 'tokenizer.json': smallTokenizer, 'model.safetensors': await smallWeights() }
}

/** Sources of files that are given as bytes, texts, or values to be written as JSON. */
export function smallSources(files: Readonly<Record<string, unknown>>): Record<string, ByteSource> {
  const bytesOf = (content: unknown) => {
    if (content instanceof Uint8Array) return content
    return new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content))
  }
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [name, bytesSource(name, bytesOf(content))]))
}
