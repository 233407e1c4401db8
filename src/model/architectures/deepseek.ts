import type { RoutingSpec } from '../../nn/experts/routing-spec.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import type { MixtureSpec } from '../mixture-spec.ts'
import type { Architecture, SpecOptions } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { type LatentDefaults, latentIdle, latentNames, readLatent } from './latent-heads.ts'
import { gatedMlp, namedLikeLlama, plainDecoder, preNormLayer, readSizes, rmsNorm } from './plain-decoder.ts'
import { biasedRouting, gatedExperts, gatedMlpOf, sparseLayers, withExperts } from './read-mixture.ts'

/** What decoders of DeepSeek's kind say differently. */
interface Family {
  readonly maxPositions: number
  readonly latent: LatentDefaults
  readonly firstSparse: number
  readonly experts: number
  readonly expertSize: number
  readonly shared: number
  routing(config: ConfigFields): RoutingSpec
  readonly mixture?: Partial<MixtureSpec>
}

/** A decoder of latent attention whose first layers are dense and whose others have experts beside shared ones. */
function readFamily(name: string, config: ConfigFields, options: SpecOptions, family: Family) {
  const sizes = readSizes(config, options, { maxPositions: family.maxPositions })
  const attention = readLatent(config, sizes, options, family.latent)
  const norm = rmsNorm(config)
  const size = config.size('moe_intermediate_size', family.expertSize)
  // null, where it is there, is none
  const count = (field: string, absent: number) => config.token(field) ?? (config.states(field) ? 0 : absent)
  const sparse = sparseLayers(config, sizes.numLayers, count('first_k_dense_replace', family.firstSparse))
  const dense = preNormLayer(attention, gatedMlp(config, { bias: config.flag('mlp_bias', false) }), norm)
  const experts = config.size('n_routed_experts', family.experts)
  const mixture = gatedExperts(config, experts, size, family.routing(config), family.mixture)
  const shared = gatedMlpOf(config, size * count('n_shared_experts', family.shared))
  const layer = (index: number): LayerSpec => (sparse[index] ? withExperts(dense, mixture, shared) : dense)
  return plainDecoder(name, sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
}

/** Softmax scores; experts of all groups, or of those groups whose best expert is best; weights as they are, times a factor. */
function softmaxGroups(config: ConfigFields): RoutingSpec {
  checkWay(config, 'scoring_func', ['softmax'])
  const method = checkWay(config, 'topk_method', ['greedy', 'group_limited_greedy'])
  // read where they do not count, too
  const [count, kept] = [config.token('n_group') ?? 1, config.token('topk_group') ?? 1]
  return {
    perToken: config.size('num_experts_per_tok'),
    scores: 'softmax',
    groups: method === 'group_limited_greedy' && count > 1 ? { count, kept, by: 'max' } : null,
    normalize: null,
    scale: config.positive('routed_scaling_factor', 1),
  }
}

const latent: LatentDefaults = {
  ...{ queryRank: 1536, rank: 512, nopeDim: 128, ropeDim: 64, valueDim: 128 },
  interleaved: true,
}
const experts = {
  ...latentNames,
  ...separateExperts('layers.N.mlp.experts.E'),
  ...sharedExpert('layers.N.mlp.shared_experts'),
}
const biased = routerNames('layers.N.mlp.gate', 'layers.N.mlp.gate.e_score_correction_bias')
// of training, and of how experts are spread over devices
const idle = [...latentIdle, 'seq_aux', 'aux_loss_alpha', 'ep_size', 'num_nextn_predict_layers', 'num_mtp_layers']

/** Throws `format` where the configuration names another way than the one that the architecture has. */
function checkWay(config: ConfigFields, field: string, ways: readonly string[]): string {
  const way = config.text(field, ways[0])
  if (!ways.includes(way)) throw config.fault(field, `must be ${ways.join(' or ')}, got ${way}`)
  return way
}

/** Sigmoid scores, experts of the best groups chosen by score + bias. */
function sigmoidGroups(config: ConfigFields, defaults: Parameters<typeof biasedRouting>[1]): RoutingSpec {
  checkWay(config, 'scoring_func', ['sigmoid'])
  checkWay(config, 'topk_method', ['noaux_tc'])
  return biasedRouting(config, defaults)
}

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
