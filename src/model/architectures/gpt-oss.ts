import type { GatedActivation } from '../../nn/index.ts'
import type { Architecture } from './architecture.ts'
import { fusedExperts, routerNames } from './expert-names.ts'
import { laterNorm } from './gguf-facts.ts'
import { readWindows } from './layer-types.ts'
import { namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm, sinkName } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * gpt-oss: every other layer over a window, learned sinks, biases everywhere, experts weighed by a softmax over the chosen,
 * with a clamped activation (up + 1) · gate · sigmoid(1.702 · gate) whose gate and up take turns in one tensor.
 *
 * OpenAI: gpt-oss-120b and gpt-oss-20b Model Card, 2025, arXiv 2508.10925.
 */
export const gptOss: Architecture = {
  name: 'gpt_oss',
  modelTypes: ['gpt_oss'],
  ggufName: 'gpt-oss',
  gguf: {
    fields: {
      num_local_experts: 'expert_count',
      num_experts_per_tok: 'expert_used_count',
      intermediate_size: 'expert_feed_forward_length',
    },
    idle: ['feed_forward_length'],
    means: () => ({ tie_word_embeddings: false }),
    names: () => laterNorm,
    biases: ['output'],
  },
  idle: ['initial_context_length', 'hidden_act', 'experts_per_token', 'swiglu_limit'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 201_088,
      maxPositions: 131_072,
      headDim: 64,
      theta: 150_000,
    })
    const bias = config.flag('attention_bias', true)
    const norm = rmsNorm(config)
    const windows = readWindows(config, sizes.numLayers, {
      window: 128,
      type: (index) => (index % 2 === 0 ? 'sliding_attention' : 'full_attention'),
    })
    const perToken = config.size('num_experts_per_tok', config.size('experts_per_token', 4))
    const mixture = gatedExperts(
      config,
      config.size('num_local_experts', 128),
      config.size('intermediate_size'),
      { perToken, scores: 'softmaxOfChosen' },
      { combine: clamped(config.positive('swiglu_limit', 7)), bias: true, routerBias: true },
    )
    const none = gatedMlpOf(config, 0)
    const layer = (index: number) => {
      const attention = plainAttention(heads, rope, {
        window: windows[index] ?? null,
        sinks: true,
        qkvBias: bias,
        outputBias: bias,
      })
      return withExperts(preNormLayer(attention, none, norm), mixture, none)
    }
    return plainDecoder('gpt_oss', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...sinkName,
    ...routerNames('layers.N.mlp.router'),
    ...fusedExperts({
      gateUp: 'layers.N.mlp.experts.gate_up_proj',
      down: 'layers.N.mlp.experts.down_proj',
      transposed: true,
      bare: true,
      interleaved: true,
    }),
  }),
}

const byLimit = new Map<number, GatedActivation>()

/** (up + 1) · gate · sigmoid(1.702 · gate), the gate at most the limit, up within ± the limit: one function for a limit. */
function clamped(limit: number): GatedActivation {
  const known = byLimit.get(limit)
  if (known) return known
  const made: GatedActivation = (gate, up) => {
    const low = gate.min(limit)
    return up.max(-limit).min(limit).add(1).mul(low).mul(low.mul(1.702).sigmoid())
  }
  byLimit.set(limit, made)
  return made
}
