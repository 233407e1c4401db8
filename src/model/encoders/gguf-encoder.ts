import type { SpecOptions, WeightNames } from '../architectures/architecture.ts'
import { checkExtent } from '../architectures/check-extent.ts'
import { checkGgufKeys } from '../architectures/check-gguf-keys.ts'
import { weightsOver } from '../architectures/checkpoint-over.ts'
import { configFields } from '../architectures/config-fields.ts'
import { rowsFrom } from '../architectures/fused-rows.ts'
import { locateWeights } from '../architectures/locate-weights.ts'
import type { WeightSource } from '../checkpoint.ts'
import type { GgufTable } from '../files/gguf.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { ggufTokenizer } from '../tokenizers/gguf-tokenizer.ts'
import { bert } from './bert.ts'
import { type EncoderArchitecture, encoderShapes } from './encoder-architecture.ts'
import type { EncoderSpec } from './encoder-spec.ts'
import { nomicBert } from './nomic-bert.ts'

/** Encoders by `general.architecture`. */
export const ggufEncoders: ReadonlyMap<string, EncoderArchitecture> = new Map([
  ['bert', bert],
  ['nomic-bert', nomicBert],
])

/** Keys of an encoder by the names that configurations have for them. */
const keys: Readonly<Record<string, string>> = {
  hidden_size: 'embedding_length',
  num_hidden_layers: 'block_count',
  num_attention_heads: 'attention.head_count',
  intermediate_size: 'feed_forward_length',
  max_position_embeddings: 'context_length',
  layer_norm_eps: 'attention.layer_norm_epsilon',
}

/** llama.cpp's names; queries, keys and values in one tensor where a file has them so. */
const names: WeightNames = {
  tokenEmbedding: 'token_embd',
  positionEmbedding: 'position_embd',
  tokenTypes: 'token_types',
  embeddingNorm: 'token_embd_norm',
  'layers.N.attention.query': 'blk.N.attn_q',
  'layers.N.attention.key': 'blk.N.attn_k',
  'layers.N.attention.value': 'blk.N.attn_v',
  'layers.N.attention.output': 'blk.N.attn_output',
  'layers.N.sumNorms.attention': 'blk.N.attn_output_norm',
  'layers.N.mlp.gate': 'blk.N.ffn_gate',
  'layers.N.mlp.up': 'blk.N.ffn_up',
  'layers.N.mlp.down': 'blk.N.ffn_down',
  'layers.N.sumNorms.mlp': 'blk.N.layer_output_norm',
}

/**
 * BERT and Nomic BERT in a GGUF file. Throws `format` naming file and key or tensor, `unsupported` for keys that are not
 * followed here.
 */
export async function ggufEncoder(
  table: GgufTable,
  name: string,
  architecture: EncoderArchitecture,
  options: SpecOptions,
): Promise<WeightSource & { readonly spec: EncoderSpec; readonly tokenizer: Tokenizer }> {
  const key = (of: string) => table.metadata.get(`${name}.${of}`)
  const rows = (tensor: string) => (table.has(tensor) ? table.get(tensor).shape[0] : undefined)
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(keys).map(([field, of]) => [field, key(of)]),
  )
  values.vocab_size = rows('token_embd.weight')
  values.type_vocab_size = rows('token_types.weight') ?? 0
  values.bos_token_id = table.metadata.get('tokenizer.ggml.bos_token_id')
  values.eos_token_id = table.metadata.get('tokenizer.ggml.eos_token_id')
  values.qkv_proj_bias = table.has('blk.0.attn_qkv.bias') || table.has('blk.0.attn_q.bias')
  const turns = architecture === nomicBert
  if (turns) values.rope_parameters = { rope_type: 'default', rope_theta: key('rope.freq_base') ?? 10_000 }
  const config = configFields(table.source, values, (field) => {
    return field === 'rope_parameters.rope_theta' ? `${name}.rope.freq_base` : `${name}.${keys[field] ?? field}`
  })
  checkExtent(config, table)
  const spec = architecture.spec(config, options)
  const read = new Set([...Object.values(keys), ...(turns ? ['rope.freq_base'] : [])])
  checkGgufKeys(table, name, (of) => read.has(of), options.ignoreFields, false)
  const fused = table.has('blk.0.attn_qkv.weight') ? rowsFrom('blk.N.attn_qkv', 'attention') : {}
  const located = locateWeights(table, spec, encoderShapes(spec), {
    names: { ...names, ...fused },
    prefix: '',
    head: '',
  })
  const tokenizer = ggufTokenizer(table, spec, null)
  return { ...(await weightsOver(table.source, table, spec, located)), spec, tokenizer }
}
