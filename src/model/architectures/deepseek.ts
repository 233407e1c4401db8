import type { Architecture } from './architecture.ts'
import { biased, experts, idle, latent, readFamily, sigmoidGroups, softmaxGroups } from './deepseek-family.ts'
import { routerNames } from './expert-names.ts'
import { namedLikeLlama } from './plain-decoder.ts'

/**
 * DeepSeek-V2: latent attention, a dense first layer, then experts chosen by softmax score within the best groups.
 *
 * DeepSeek-AI: DeepSeek-V2, 2024, arXiv 2405.04434.
 */
export const deepseekV2: Architecture = {
  name: 'deepseek_v2',
  modelTypes: ['deepseek_v2'],
  // norm_topk_prob is refused: transformers reads past it, the authors' code does not
  idle,
  spec: (config, options) =>
    readFamily('deepseek_v2', config, options, {
      ...{ maxPositions: 2048, latent, firstSparse: 0, experts: 64, expertSize: 1407, shared: 2 },
      routing: softmaxGroups,
    }),
  weights: namedLikeLlama({ ...experts, ...routerNames('layers.N.mlp.gate') }),
}

/**
 * DeepSeek-V3 and R1: sigmoid scores, experts chosen by score + bias within the best groups; layers beyond the last, which
 * predict further tokens, are left in the file.
 *
 * DeepSeek-AI: DeepSeek-V3, 2024, arXiv 2412.19437.
 */
export const deepseekV3: Architecture = {
  name: 'deepseek_v3',
  modelTypes: ['deepseek_v3'],
  idle,
  spec: (config, options) =>
    readFamily('deepseek_v3', config, options, {
      ...{ maxPositions: 4096, experts: 256, expertSize: 2048, shared: 1, firstSparse: 3 },
      latent: { ...latent, interleaved: config.flag('rope_interleave', true) },
      routing: (fields) => sigmoidGroups(fields, { perToken: 8, scale: 2.5, groups: 8, keptGroups: 4 }),
      mixture: { selectionBias: true },
    }),
  weights: namedLikeLlama({ ...experts, ...biased }),
}

/**
 * GLM-4.7-Flash: DeepSeek-V3's attention and routing in a smaller decoder.
 *
 * Z.ai, 2026 (no paper); the form is that of Hugging Face transformers.
 */
export const glm4MoeLite: Architecture = {
  name: 'glm4_moe_lite',
  modelTypes: ['glm4_moe_lite'],
  idle: [...idle, 'first_k_dense_replace'],
  spec: (config, options) =>
    readFamily('glm4_moe_lite', config, options, {
      ...{ maxPositions: 202_752, experts: 64, expertSize: 1536, shared: 1, firstSparse: 1 },
      latent: {
        ...{ queryRank: 768, rank: 512, nopeDim: 192, ropeDim: 64, valueDim: 256 },
        interleaved: config.flag('rope_interleave', true),
      },
      routing: (fields) => sigmoidGroups(fields, { perToken: 4, scale: 1.8 }),
      mixture: { selectionBias: true },
    }),
  weights: namedLikeLlama({ ...experts, ...biased }),
}
