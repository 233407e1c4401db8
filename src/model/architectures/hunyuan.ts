import type { RopeSpec } from '../decoder-spec.ts'
import { defaultRope } from '../rope/default-rope.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
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
import { ropeSection } from './rope-section.ts'

/**
 * Hunyuan, dense: queries and keys normalised head by head after they are turned; rotary positions "dynamic" with `alpha`,
 * a fixed base of theta · alpha^(D / (D − 2)).
 *
 * Tencent: Hunyuan-Large, 2024, arXiv 2411.02265; the dense models of 2025 have no paper.
 */
export const hunyuan: Architecture = {
  name: 'hunyuan_v1_dense',
  modelTypes: ['hunyuan_v1_dense'],
  ggufName: 'hunyuan-dense',
  idle: [
    'eod_token_id',
    'im_start_id',
    'im_end_id',
    'im_newline_id',
    'text_start_id',
    'text_end_id',
    'use_qk_norm',
    'use_cla',
    'cla_share_factor',
    'attention_head_dim',
    'org_vocab_size',
    'add_classification_head',
    'class_num',
    'pool_type',
    'mask_init_id',
    'norm_type',
    'use_rotary_pos_emb',
  ],
  spec(config, options) {
    const sizes = readSizes(config, options, { vocabSize: 290_943 })
    const heads = readHeads(config, sizes.hiddenSize, attentionHeadDim(config))
    const rope = alphaRope(config, heads.headDim) ?? readRope(config, { ...heads, ...sizes, options })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, {
      qkNorm: { norm, over: 'head', afterRope: true },
      qkvBias: bias,
      outputBias: bias,
    })
    const layer = preNormLayer(attention, gatedMlp(config), norm)
    return plainDecoder('hunyuan_v1_dense', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', false),
    })
  },
  weights: namedLikeLlama({
    'layers.N.attention.queryNorm': 'layers.N.self_attn.query_layernorm',
    'layers.N.attention.keyNorm': 'layers.N.self_attn.key_layernorm',
  }),
}

function attentionHeadDim(config: ConfigFields): { readonly headDim?: number } {
  return config.has('attention_head_dim') ? { headDim: config.size('attention_head_dim') } : {}
}

/** The rotation by a base that `alpha` raises, null where the configuration has none. */
function alphaRope(config: ConfigFields, rotaryDim: number): RopeSpec | null {
  const scaling = ropeSection(config)
  if (!scaling?.has('alpha') || scaling.text('rope_type', scaling.text('type', '')) !== 'dynamic') return null
  const base = (scaling.has('rope_theta') ? scaling : config).positive('rope_theta', 10_000)
  const theta = base * scaling.positive('alpha') ** (rotaryDim / (rotaryDim - 2))
  scaling.positive('factor', 1)
  return { rotaryDim, interleaved: false, ...defaultRope({ rotaryDim, theta }) }
}
