import type { LayerSpec, NormSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { fusedExperts, routerNames, sharedExpert } from './expert-names.ts'
import { namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * Llama 4, the text model: layers in chunks with rotary positions (neighbours as pairs) and queries and keys normalised after
 * they turned; every fourth layer sees all, without positions, its queries growing with the logarithm of theirs. One expert
 * for each token, whose input its sigmoid multiplies, beside a shared one.
 *
 * Meta: The Llama 4 herd, 2025 (no paper).
 */
export const llama4: Architecture = {
  name: 'llama4',
  modelTypes: ['llama4_text'],
  idle: [
    'router_jitter_noise',
    'no_rope_layer_interval',
    'interleave_moe_layer_step',
    'layer_types',
    'for_llm_compressor',
  ],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 202_048,
      maxPositions: 4096 * 32,
      headDim: 128,
      interleaved: true,
      theta: 500_000,
    })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const headNorm: NormSpec = { ...norm, weightless: true }
    const chunk = config.size('attention_chunk_size', 8192)
    const temperature = config.flag('attn_temperature_tuning', true)
      ? {
          temperature: {
            strength: config.positive('attn_scale', 0.1),
            period: config.size('floor_scale', 8192),
            offset: 1,
          },
        }
      : {}
    const size = config.size('intermediate_size', 8192)
    const mixture = gatedExperts(
      config,
      config.size('num_local_experts', 16),
      size,
      { perToken: config.size('num_experts_per_tok', 1), scores: 'sigmoid' },
      { weighsInput: true },
    )
    const turns =
      listOf(config, 'no_rope_layers') ?? everyOther(sizes.numLayers, config.size('no_rope_layer_interval', 4))
    const step = config.size('interleave_moe_layer_step', 1)
    const sparse = new Set(config.list('moe_layers') ?? everyNthIndex(sizes.numLayers, step))
    const qkNorm = config.flag('use_qk_norm', true)
      ? ({ norm: headNorm, over: 'head', afterRope: true } as const)
      : null
    const layer = (index: number): LayerSpec => {
      const differs = turns[index] ? { chunk, qkNorm } : temperature
      const attention = plainAttention(heads, turns[index] ? rope : null, {
        ...differs,
        qkvBias: bias,
        outputBias: bias,
      })
      const dense = preNormLayer(attention, gatedMlpOf(config, config.size('intermediate_size_mlp', 16_384)), norm)
      return sparse.has(index) ? withExperts(dense, mixture, gatedMlpOf(config, size)) : dense
    }
    return plainDecoder('llama4', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    'layers.N.mlp.gate': 'layers.N.feed_forward.gate_proj',
    'layers.N.mlp.up': 'layers.N.feed_forward.up_proj',
    'layers.N.mlp.down': 'layers.N.feed_forward.down_proj',
    ...routerNames('layers.N.feed_forward.router'),
    ...fusedExperts({
      gateUp: 'layers.N.feed_forward.experts.gate_up_proj',
      down: 'layers.N.feed_forward.experts.down_proj',
      transposed: true,
      bare: true,
    }),
    ...sharedExpert('layers.N.feed_forward.shared_expert'),
  }),
}

/** A list of ones and zeros, null where there is none (or an empty one). */
function listOf(config: ConfigFields, name: string): readonly unknown[] | null {
  const list = config.list(name)
  return list && list.length > 0 ? list : null
}

const everyOther = (numLayers: number, interval: number) =>
  Array.from({ length: numLayers }, (_, index) => ((index + 1) % interval === 0 ? 0 : 1))

const everyNthIndex = (numLayers: number, step: number) =>
  Array.from({ length: numLayers }, (_, index) => index).filter((index) => (index + 1) % step === 0)
