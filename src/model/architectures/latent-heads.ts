import type { AttentionSpec, NormSpec } from '../decoder-spec.ts'
import type { SpecOptions, WeightNames } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import type { DecoderSizes } from './plain-decoder.ts'
import { readRope } from './read-rope.ts'
import { ropeSection } from './rope-section.ts'

/** Fields of configurations of latent attention that others of them say as well. */
export const latentIdle: readonly string[] = ['head_dim', 'qk_head_dim', 'num_key_value_heads']

/** Names of latent attention's weights in files of Hugging Face transformers. */
export const latentNames: WeightNames = {
  'layers.N.attention.queryDown': 'layers.N.self_attn.q_a_proj',
  'layers.N.attention.queryDownNorm': 'layers.N.self_attn.q_a_layernorm',
  'layers.N.attention.queryUp': 'layers.N.self_attn.q_b_proj',
  'layers.N.attention.latentDown': 'layers.N.self_attn.kv_a_proj_with_mqa',
  'layers.N.attention.latentNorm': 'layers.N.self_attn.kv_a_layernorm',
  'layers.N.attention.latentUp': 'layers.N.self_attn.kv_b_proj',
}

/** What architectures of latent attention say differently. */
export interface LatentDefaults {
  readonly queryRank: number | null
  readonly rank: number
  readonly nopeDim: number
  readonly ropeDim: number
  readonly valueDim: number
  /** are pairs (2i, 2i + 1)? */
  readonly interleaved: boolean
}

/** Norms of latents do not have the `rms_norm_eps` of others: transformers, and the authors' code, leave them at this. */
const latentEps = 1e-6

/**
 * Latent attention from `q_lora_rank` (null: queries come of the input), `kv_lora_rank`, `qk_nope_head_dim`,
 * `qk_rope_head_dim` and `v_head_dim`. Throws `format` for sizes that are none, and for biases of queries that come of no latent.
 */
export function readLatent(
  config: ConfigFields,
  sizes: DecoderSizes,
  options: SpecOptions,
  defaults: LatentDefaults,
): AttentionSpec {
  const numHeads = config.size('num_attention_heads')
  const rank = config.size('kv_lora_rank', defaults.rank)
  const nopeDim = config.size('qk_nope_head_dim', defaults.nopeDim)
  const ropeDim = config.size('qk_rope_head_dim', defaults.ropeDim)
  const valueDim = config.size('v_head_dim', defaults.valueDim)
  // null, where it is there, is an answer
  const fallback = config.states('q_lora_rank') ? null : defaults.queryRank
  const queryRank = config.has('q_lora_rank') ? config.size('q_lora_rank') : fallback
  const bias = config.flag('attention_bias', false)
  if (bias && queryRank === null)
    throw config.fault('attention_bias', 'is true where q_lora_rank is null: such queries have no bias')
  const norm: NormSpec = { kind: 'rms', eps: latentEps, offset: 0, bias: false }
  const { interleaved } = defaults
  const rope = readRope(config, { headDim: ropeDim, maxPositions: sizes.maxPositions, options, interleaved })
  return {
    ...{ numHeads, numKvHeads: 1, headDim: rank + ropeDim, valueDim: rank, rope },
    scale: sharpnessOf(config) ** 2 / Math.sqrt(nopeDim + ropeDim),
    ...{ softCap: null, window: null, qkNorm: null, qkvBias: bias, outputBias: bias },
    latent: { query: queryRank === null ? null : { rank: queryRank, norm }, rank, norm, nopeDim, ropeDim, valueDim },
  }
}

/** YaRN's 0.1 · mscale_all_dim · ln(factor) + 1, by which DeepSeek's queries and keys are multiplied beside what turns them. */
function sharpnessOf(config: ConfigFields): number {
  const section = ropeSection(config)
  if (!section?.has('mscale_all_dim') || section.isZero('mscale_all_dim')) return 1
  const factor = section.positive('factor')
  return factor <= 1 ? 1 : 0.1 * section.positive('mscale_all_dim') * Math.log(factor) + 1
}
