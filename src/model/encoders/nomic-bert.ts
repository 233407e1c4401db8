import { FoveaError } from '../../tile/index.ts'
import type { ConfigFields } from '../architectures/config-fields.ts'
import { rowsFrom } from '../architectures/fused-rows.ts'
import { namedActivation } from '../architectures/named-activation.ts'
import { plainAttention, tokenList } from '../architectures/plain-decoder.ts'
import { readRope } from '../architectures/read-rope.ts'
import type { MlpSpec, RopeSpec } from '../decoder-spec.ts'
import { defaultRope } from '../rope/default-rope.ts'
import type { EncoderArchitecture } from './encoder-architecture.ts'
import { checkBidirectional, plainEncoder, postNormLayer, tokenTypes } from './plain-encoder.ts'

/**
 * Nomic BERT: BERT with rotary positions and SwiGLU instead of learned positions and GELU, queries, keys and values in one
 * matrix, no biases but the norms'. Its published configurations have GPT-2's names of fields.
 *
 * Nussbaum, Morris, Duderstadt, Mulyar: Nomic Embed, 2024, arXiv 2402.01613.
 */
export const nomicBert: EncoderArchitecture = {
  name: 'nomic_bert',
  modelTypes: ['nomic_bert'],
  idle: [
    // of its trainer, and of code that computes the same
    'max_trained_positions',
    'pad_vocab_size_multiple',
    'dense_seq_output',
    'use_xentropy',
    'scale_attn_weights',
  ],
  spec(config, options) {
    checkBidirectional(config)
    checkVariant(config)
    const hiddenSize = config.size(named(config, 'hidden_size', 'n_embd'))
    const numHeads = config.size(named(config, 'num_attention_heads', 'n_head'))
    if (hiddenSize % numHeads !== 0)
      throw config.fault('num_attention_heads', `${numHeads} does not divide the hidden size ${hiddenSize}`)
    const headDim = config.size('head_dim', hiddenSize / numHeads)
    const maxPositions = config.size(named(config, 'max_position_embeddings', 'n_positions'), 2048)
    const eps = config.positive(named(config, 'layer_norm_eps', 'layer_norm_epsilon'), 1e-12)
    const norm = { kind: 'layer', eps, offset: 0, bias: true } as const
    const qkvBias = config.flag('qkv_proj_bias', false)
    const attention = plainAttention(
      { numHeads, numKvHeads: numHeads, headDim },
      readNomicRope(config, headDim, maxPositions, options),
      { qkvBias, outputBias: qkvBias },
    )
    const layer = postNormLayer(attention, nomicMlp(config), norm)
    const sizes = {
      vocabSize: config.size('vocab_size'),
      hiddenSize,
      numLayers: config.size(named(config, 'num_hidden_layers', 'n_layer')),
      maxPositions,
      bosToken: config.token('bos_token_id'),
      eosTokens: tokenList(config, 'eos_token_id'),
    }
    return plainEncoder('nomic_bert', sizes, () => layer, { tokenTypes: tokenTypes(config, 2), norm })
  },
  weights: {
    prefixes: ['', 'bert.'],
    names: {
      tokenEmbedding: 'embeddings.word_embeddings',
      tokenTypes: 'embeddings.token_type_embeddings',
      embeddingNorm: 'emb_ln',
      ...rowsFrom('encoder.layers.N.attn.Wqkv', 'attention'),
      'layers.N.attention.output': 'encoder.layers.N.attn.out_proj',
      'layers.N.sumNorms.attention': 'encoder.layers.N.norm1',
      // fc12 goes through the activation
      'layers.N.mlp.gate': 'encoder.layers.N.mlp.fc12',
      'layers.N.mlp.up': 'encoder.layers.N.mlp.fc11',
      'layers.N.mlp.down': 'encoder.layers.N.mlp.fc2',
      'layers.N.sumNorms.mlp': 'encoder.layers.N.norm2',
    },
  },
  classifier: null,
}

/** The name of the two that the configuration has, the first where it has neither. */
function named(config: ConfigFields, name: string, older: string): string {
  return !config.has(name) && config.has(older) ? older : name
}

function nomicMlp(config: ConfigFields): MlpSpec {
  const older = config.text('activation_function', 'swiglu')
  if (older !== 'swiglu')
    throw new FoveaError(
      'unsupported',
      'openEmbedder',
      `${config.file}: activation_function is "${older}"; swiglu is computed here`,
    )
  return {
    size: config.size(named(config, 'intermediate_size', 'n_inner')),
    activation: namedActivation(config, 'hidden_act', 'silu'),
    gated: true,
    bias: config.flag('mlp_fc1_bias', false),
  }
}

function readNomicRope(
  config: ConfigFields,
  headDim: number,
  maxPositions: number,
  options: Parameters<typeof readRope>[1]['options'],
): RopeSpec {
  if (config.has('rope_parameters'))
    return readRope(config, { headDim, maxPositions, options, defaults: { theta: 1000 } })
  const base = { rotaryDim: headDim, theta: config.positive('rotary_emb_base', 10_000) }
  return { rotaryDim: headDim, interleaved: false, ...defaultRope(base) }
}

/** What the remote code of older files can do besides, and the published models do not. */
function checkVariant(config: ConfigFields): void {
  const refuse = (field: string, value: unknown) => {
    throw new FoveaError(
      'unsupported',
      'openEmbedder',
      `${config.file}: ${field} is ${JSON.stringify(value)}, which is not computed here`,
    )
  }
  for (const field of [
    'prenorm',
    'parallel_block',
    'rotary_emb_interleaved',
    'use_rms_norm',
    'scale_attn_by_inverse_layer_idx',
  ])
    if (config.flag(field, false)) refuse(field, true)
  const [fc1, fc2] = [config.flag('mlp_fc1_bias', false), config.flag('mlp_fc2_bias', false)]
  if (fc1 !== fc2) refuse('mlp_fc2_bias', fc2)
  const fraction = config.has('rotary_emb_fraction') ? config.positive('rotary_emb_fraction') : 1
  if (fraction !== 1) refuse('rotary_emb_fraction', fraction)
}
