import type { DecoderSpec, LayerSpec } from '../decoder-spec.ts'
import type { GgufTypedValue } from '../files/write-gguf.ts'

/** What fields of configurations are taken from when a GGUF file is written. */
interface Parts {
  readonly spec: DecoderSpec
  readonly first: LayerSpec
  /** the first layer with experts */
  readonly sparse: LayerSpec | undefined
  readonly index: number
}

type ValueOf = (parts: Parts) => number | undefined

const experts: ValueOf = ({ sparse }) => sparse?.mixture?.experts
const perToken: ValueOf = ({ sparse }) => sparse?.mixture?.routing.perToken
const expertSize: ValueOf = ({ sparse }) => sparse?.mixture?.size
const sharedExperts: ValueOf = ({ sparse }) => sparse?.mixture && sparse.mlp.size / sparse.mixture.size
const firstSparse: ValueOf = ({ index }) => (index < 0 ? undefined : index)
const routingScale: ValueOf = ({ sparse }) => sparse?.mixture?.routing.scale ?? 1
const groups = ({ sparse }: Parts) => sparse?.mixture?.routing.groups

/** Whole numbers. */
const counts: Readonly<Record<string, ValueOf>> = {
  num_experts: experts,
  num_local_experts: experts,
  n_routed_experts: experts,
  moe_num_experts: experts,
  num_experts_per_tok: perToken,
  moe_k: perToken,
  intermediate_size: expertSize,
  moe_intermediate_size: expertSize,
  shared_expert_intermediate_size: ({ sparse }) => sparse?.mlp.size,
  n_shared_experts: sharedExperts,
  num_shared_experts: sharedExperts,
  moe_num_shared_experts: sharedExperts,
  first_k_dense_replace: firstSparse,
  num_dense_layers: firstSparse,
  moe_layer_start_index: firstSparse,
  moe_layer_interval: ({ spec, index }) => {
    const after = spec.layers.slice(index + 1).findIndex((layer) => layer.mixture)
    return index < 0 ? undefined : Math.max(1, after + 1)
  },
  n_group: (parts) => groups(parts)?.count ?? 1,
  topk_group: (parts) => groups(parts)?.kept ?? 1,
}

const reals: Readonly<Record<string, ValueOf>> = {
  routed_scaling_factor: routingScale,
  route_scale: routingScale,
  logit_scale: ({ spec }) => spec.logits.scale ?? 1,
  logits_scaling: ({ spec }) => 1 / (spec.logits.scale ?? 1),
  embedding_multiplier: ({ spec }) => spec.embedding.scale,
  residual_multiplier: ({ first }) => first.branchScale?.attention ?? 1,
  attention_multiplier: ({ first }) => first.attention.scale,
  clip_qkv: ({ first }) => first.attention.clip,
  // of the first head, whose slope is 2^(−max / the power of two that the heads reach)
  alibi_bias_max: ({ first: { attention } }) =>
    attention.alibiSlopes && -Math.log2(attention.alibiSlopes[0] ?? 1) * 2 ** Math.floor(Math.log2(attention.numHeads)),
}

/** The value of a field, with the type that llama.cpp asks for; undefined where the model has nothing of the kind. */
export function ggufValue(spec: DecoderSpec, field: string): GgufTypedValue | undefined {
  const [first] = spec.layers
  if (!first) return undefined
  const index = spec.layers.findIndex((layer) => layer.mixture)
  const parts = { spec, first, sparse: spec.layers[index], index }
  if (field === 'norm_topk_prob') {
    const routing = parts.sparse?.mixture?.routing
    return routing && { type: 'bool', value: (routing.normalize ?? null) !== null }
  }
  const [type, value] =
    field in counts ? (['u32', counts[field]?.(parts)] as const) : (['f32', reals[field]?.(parts)] as const)
  return value === undefined ? undefined : { type, value }
}
