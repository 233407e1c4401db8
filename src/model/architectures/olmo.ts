import type { NormSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/** A layer norm that has no parameters at all. */
const norm: NormSpec = { kind: 'layer', eps: 1e-5, offset: 0, bias: false, weightless: true }

/**
 * OLMo: Llama with layer norms without parameters, and projections kept within ± `clip_qkv` where it says so.
 *
 * Groeneveld et al.: OLMo, 2024, arXiv 2402.00838.
 */
export const olmo: Architecture = {
  name: 'olmo',
  modelTypes: ['olmo'],
  ggufName: 'olmo',
  gguf: { fields: { clip_qkv: 'attention.clamp_kqv' }, reordered: true },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 50_304 })
    const bias = config.flag('attention_bias', false)
    const clip = config.has('clip_qkv') ? { clip: config.positive('clip_qkv') } : {}
    const attention = plainAttention(heads, rope, { qkvBias: bias, outputBias: bias, ...clip })
    const layer = preNormLayer(attention, gatedMlp(config), norm)
    return plainDecoder('olmo', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}
