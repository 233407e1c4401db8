import type { RoutingSpec } from '../../nn/experts/routing-spec.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import type { MixtureSpec } from '../mixture-spec.ts'
import type { SpecOptions } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { type LatentDefaults, latentIdle, latentNames, readLatent } from './latent-heads.ts'
import { gatedMlp, plainDecoder, preNormLayer, readSizes, rmsNorm } from './plain-decoder.ts'
import { biasedRouting, gatedExperts, gatedMlpOf, sparseLayers, withExperts } from './read-mixture.ts'

/** What decoders of DeepSeek's kind say differently. */
export interface Family {
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
export function readFamily(name: string, config: ConfigFields, options: SpecOptions, family: Family) {
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
export function softmaxGroups(config: ConfigFields): RoutingSpec {
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

export const latent: LatentDefaults = {
  ...{ queryRank: 1536, rank: 512, nopeDim: 128, ropeDim: 64, valueDim: 128 },
  interleaved: true,
}
export const experts = {
  ...latentNames,
  ...separateExperts('layers.N.mlp.experts.E'),
  ...sharedExpert('layers.N.mlp.shared_experts'),
}
export const biased = routerNames('layers.N.mlp.gate', 'layers.N.mlp.gate.e_score_correction_bias')
// of training, and of how experts are spread over devices
export const idle = [
  ...latentIdle,
  'seq_aux',
  'aux_loss_alpha',
  'ep_size',
  'num_nextn_predict_layers',
  'num_mtp_layers',
]

/** Throws `format` where the configuration names another way than the one that the architecture has. */
function checkWay(config: ConfigFields, field: string, ways: readonly string[]): string {
  const way = config.text(field, ways[0])
  if (!ways.includes(way)) throw config.fault(field, `must be ${ways.join(' or ')}, got ${way}`)
  return way
}

/** Sigmoid scores, experts of the best groups chosen by score + bias. */
export function sigmoidGroups(config: ConfigFields, defaults: Parameters<typeof biasedRouting>[1]): RoutingSpec {
  checkWay(config, 'scoring_func', ['sigmoid'])
  checkWay(config, 'topk_method', ['noaux_tc'])
  return biasedRouting(config, defaults)
}
