import type { DecoderSpec } from '../decoder-spec.ts'
import type { Architecture, SpecOptions } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { rowsFrom } from './fused-rows.ts'
import { headsFillWidth } from './gguf-facts.ts'
import {
  gatedMlp,
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  preNormLayer,
  readHeads,
  readSizes,
  rmsNorm,
} from './plain-decoder.ts'
import { readRope } from './read-rope.ts'

const names = rowsFrom('layers.N.mlp.gate_up_proj', 'mlp')

/**
 * GLM-4 and ChatGLM: half of each head turns, neighbours as pairs, gate and up in one matrix, biases of queries, keys and
 * values alone. GLM-4-0414 (`glm4`) has norms after both sublayers too.
 *
 * GLM Team: ChatGLM, 2024, arXiv 2406.12793.
 */
export const glm: Architecture = {
  name: 'glm',
  modelTypes: ['glm'],
  ggufName: 'chatglm',
  gguf: { fused: ['mlp'], refused: headsFillWidth },
  spec: (config, options) => glmSpec('glm', config, options),
  weights: namedLikeLlama(names),
}

export const glm4: Architecture = {
  name: 'glm4',
  modelTypes: ['glm4'],
  ggufName: 'glm4',
  gguf: { fused: ['mlp'] },
  spec: (config, options) => glmSpec('glm4', config, options),
  weights: namedLikeLlama({
    ...names,
    'layers.N.norms.afterAttention': 'layers.N.post_self_attn_layernorm',
    'layers.N.norms.afterMlp': 'layers.N.post_mlp_layernorm',
  }),
}

function glmSpec(name: 'glm' | 'glm4', config: ConfigFields, options: SpecOptions): DecoderSpec {
  const sizes = readSizes(config, options, { maxPositions: 131_072 })
  const heads = readHeads(config, sizes.hiddenSize, { headDim: 128 })
  const rope = readRope(config, { ...heads, ...sizes, options, interleaved: true, defaults: { partial: 0.5 } })
  const norm = rmsNorm(config)
  const attention = plainAttention(heads, rope, { qkvBias: config.flag('attention_bias', false) })
  const plain = preNormLayer(attention, gatedMlp(config), norm)
  const after = name === 'glm4' ? { afterAttention: norm, afterMlp: norm } : {}
  const layer = { ...plain, norms: { ...plain.norms, ...after } }
  return plainDecoder(name, sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
}
