import type { Architecture } from './architecture.ts'
import { laterNorm } from './gguf-facts.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Seed-OSS: Llama with heads of their own width, biases of queries, keys and values, and a switch of its own for that of
 * attention's output.
 *
 * ByteDance Seed Team: Seed-OSS Open-Source Models, 2025 (no paper).
 */
export const seedOss: Architecture = {
  name: 'seed_oss',
  modelTypes: ['seed_oss'],
  ggufName: 'seed_oss',
  gguf: { names: () => laterNorm },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 155_136,
      maxPositions: 524_288,
      headDim: 128,
    })
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, {
      qkvBias: config.flag('attention_bias', true),
      outputBias: config.flag('attention_out_bias', false),
    })
    const layer = preNormLayer(attention, gatedMlp(config, { bias: config.flag('mlp_bias', false) }), norm)
    return plainDecoder('seed_oss', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}
