import type { Architecture } from './architecture.ts'
import { latentIdle, latentNames, readLatent } from './latent-heads.ts'
import { gatedMlp, namedLikeLlama, plainDecoder, preNormLayer, readSizes, rmsNorm } from './plain-decoder.ts'

/**
 * MiniCPM 3: latent attention in a dense decoder; embeddings by `scale_emb`, both branches of a layer by scale_depth /
 * √layers, logits by dim_model_base / hidden size.
 *
 * Hu et al.: MiniCPM, 2024, arXiv 2404.06395 (the factors); DeepSeek-AI: DeepSeek-V2, 2024, arXiv 2405.04434 (the attention).
 */
export const minicpm3: Architecture = {
  name: 'minicpm3',
  modelTypes: ['minicpm3'],
  idle: latentIdle,
  spec(config, options) {
    const sizes = readSizes(config, options, { maxPositions: 32_768 })
    const attention = readLatent(config, sizes, options, {
      ...{ queryRank: 768, rank: 256, nopeDim: 64, ropeDim: 32, interleaved: false },
      valueDim: Math.floor(sizes.hiddenSize / config.size('num_attention_heads')),
    })
    const norm = { ...rmsNorm(config), eps: config.positive('rms_norm_eps', 1e-5) }
    // null, where it is there, is a factor of 1
    const factor = (name: string, absent: number, none: number) =>
      config.positive(name, config.states(name) ? none : absent)
    const branch = factor('scale_depth', 1.4, Math.sqrt(sizes.numLayers)) / Math.sqrt(sizes.numLayers)
    const layer = {
      ...preNormLayer(attention, gatedMlp(config, { bias: config.flag('mlp_bias', false) }), norm),
      branchScale: { attention: branch, mlp: branch },
    }
    const decoder = plainDecoder('minicpm3', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', true),
      embeddingScale: config.positive('scale_emb', 12),
    })
    const base = factor('dim_model_base', 256, sizes.hiddenSize)
    return { ...decoder, logits: { ...decoder.logits, scale: base / sizes.hiddenSize } }
  },
  weights: namedLikeLlama(latentNames),
}
