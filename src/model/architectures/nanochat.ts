import type { NormSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { readSoftCap } from './gemma-fields.ts'
import { namedActivation } from './named-activation.ts'
import { namedLikeLlama, plainAttention, plainDecoder, plainMlp, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * nanochat: RMS norms without weights, after the embedding too, queries and keys normalised after they are turned, the other
 * way round than elsewhere, squared ReLU without a gate, capped logits.
 *
 * Karpathy: nanochat, 2025 (no paper).
 */
export const nanochat: Architecture = {
  name: 'nanochat',
  modelTypes: ['nanochat'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 50_304 })
    const backwards = { ...rope, inverseFrequencies: rope.inverseFrequencies.map((frequency) => -frequency) }
    const bias = config.flag('attention_bias', false)
    const norm: NormSpec = { ...rmsNorm(config), weightless: true }
    const attention = plainAttention(heads, backwards, {
      qkNorm: { norm, over: 'head', afterRope: true },
      qkvBias: bias,
      outputBias: bias,
    })
    const mlp = plainMlp(config.size('intermediate_size'), namedActivation(config, 'hidden_act', 'relu2'), false)
    const layer = preNormLayer(attention, mlp, norm)
    return plainDecoder('nanochat', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', false),
      embeddingNorm: norm,
      logitsSoftCap: readSoftCap(config, 'final_logit_softcapping', 15),
    })
  },
  weights: namedLikeLlama({
    'layers.N.mlp.up': 'layers.N.mlp.fc1',
    'layers.N.mlp.down': 'layers.N.mlp.fc2',
  }),
}
