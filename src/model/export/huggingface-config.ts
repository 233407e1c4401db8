import { FoveaError } from '../../tile/index.ts'
import { activationName } from '../architectures/named-activation.ts'
import type { AttentionSpec, DecoderSpec, LayerSpec, RopeSpec } from '../decoder-spec.ts'
import { ropeForm } from './rope-form.ts'

type Fields = Record<string, unknown>

/** The classes of Hugging Face transformers, and `model_type` where it is not the architecture's name. */
const classes: Readonly<Record<string, readonly [className: string, modelType?: string]>> = {
  llama: ['LlamaForCausalLM'],
  mistral: ['MistralForCausalLM'],
  qwen2: ['Qwen2ForCausalLM'],
  qwen3: ['Qwen3ForCausalLM'],
  gemma2: ['Gemma2ForCausalLM'],
  gemma3: ['Gemma3ForCausalLM', 'gemma3_text'],
  phi3: ['Phi3ForCausalLM'],
  gpt2: ['GPT2LMHeadModel'],
  gpt_neox: ['GPTNeoXForCausalLM'],
  olmo2: ['Olmo2ForCausalLM'],
  smollm3: ['SmolLM3ForCausalLM'],
}

/**
 * A config.json that reads as this specification. Rope scalings that are neither none nor linear are written as
 * longrope, whose divisors can be any. Throws `unsupported` for an activation without a name, and for an architecture whose
 * configurations are not written.
 */
export function huggingFaceConfig(spec: DecoderSpec): Fields {
  const { architecture, layers } = spec
  const known = classes[architecture]
  if (!known)
    throw new FoveaError(
      'unsupported',
      'exportSafetensors',
      `configurations of ${architecture} are not written; those of ${Object.keys(classes).join(', ')} are`,
    )
  const [className, modelType = architecture] = known
  const [first] = layers
  if (!first) throw new FoveaError('unsupported', 'exportSafetensors', `a ${architecture} without layers`)
  const common = {
    architectures: [className],
    model_type: modelType,
    vocab_size: spec.vocabSize,
    tie_word_embeddings: spec.logits.tied,
    bos_token_id: spec.bosToken,
    eos_token_id: spec.eosTokens.length === 1 ? spec.eosTokens[0] : spec.eosTokens.length > 1 ? spec.eosTokens : null,
  }
  return { ...common, ...(architecture === 'gpt2' ? gpt2Fields(spec, first) : plainFields(spec, first)) }
}

function gpt2Fields(spec: DecoderSpec, { attention, mlp }: LayerSpec): Fields {
  const scaled = Math.abs(attention.scale * Math.sqrt(attention.headDim) - 1) < 1e-6
  return {
    n_embd: spec.hiddenSize,
    n_head: attention.numHeads,
    n_layer: spec.layers.length,
    n_positions: spec.maxPositions,
    n_inner: mlp.size,
    activation_function: nameOf(mlp.activation),
    layer_norm_epsilon: spec.finalNorm.eps,
    scale_attn_weights: scaled,
    scale_attn_by_inverse_layer_idx: spec.layers.some((layer) => layer.attention.scale !== attention.scale),
  }
}

function plainFields(spec: DecoderSpec, first: LayerSpec): Fields {
  const { attention, mlp } = first
  const eps = spec.architecture === 'gpt_neox' ? 'layer_norm_eps' : 'rms_norm_eps'
  return {
    hidden_size: spec.hiddenSize,
    intermediate_size: mlp.size,
    num_hidden_layers: spec.layers.length,
    num_attention_heads: attention.numHeads,
    num_key_value_heads: attention.numKvHeads,
    head_dim: attention.headDim,
    max_position_embeddings: statedPositions(spec, attention.rope),
    hidden_act: nameOf(mlp.activation),
    [eps]: spec.finalNorm.eps,
    rope_parameters: ropeParameters(spec, attention),
    ...ownFields(spec, first),
  }
}

/** What an architecture has beyond sizes, norms and rope. */
function ownFields(spec: DecoderSpec, { attention, mlp, parallel }: LayerSpec): Fields {
  const windows = spec.layers.map((layer) => layer.attention.window)
  const window = windows.find((size) => size !== null) ?? null
  const layerTypes = windows.map((size) => (size === null ? 'full_attention' : 'sliding_attention'))
  switch (spec.architecture) {
    case 'llama':
      return { attention_bias: attention.qkvBias, mlp_bias: mlp.bias }
    case 'mistral':
      return { sliding_window: window }
    case 'phi3':
      return { sliding_window: window, original_max_position_embeddings: spec.maxPositions }
    case 'olmo2':
      return { attention_bias: attention.qkvBias }
    case 'qwen2':
    case 'qwen3': {
      const bias = spec.architecture === 'qwen3' ? { attention_bias: attention.qkvBias } : {}
      return { ...bias, use_sliding_window: window !== null, sliding_window: window, layer_types: layerTypes }
    }
    case 'smollm3': {
      const noRope = spec.layers.map((layer) => (layer.attention.rope === null ? 0 : 1))
      const bias = { attention_bias: attention.qkvBias, mlp_bias: mlp.bias, no_rope_layers: noRope }
      return { ...bias, use_sliding_window: window !== null, sliding_window: window, layer_types: layerTypes }
    }
    case 'gpt_neox':
      return { attention_bias: attention.qkvBias, use_parallel_residual: parallel }
    case 'gemma2':
    case 'gemma3':
      return {
        hidden_activation: 'gelu_pytorch_tanh',
        query_pre_attn_scalar: nearWhole(attention.scale ** -2),
        attn_logit_softcapping: attention.softCap,
        final_logit_softcapping: spec.logits.softCap,
        sliding_window: window,
        layer_types: layerTypes,
        attention_bias: attention.qkvBias,
      }
  }
  return {}
}

function ropeParameters(spec: DecoderSpec, attention: AttentionSpec): Fields {
  const ropeOf = (windowed: boolean) =>
    spec.layers.find((layer) => layer.attention.rope && (layer.attention.window !== null) === windowed)?.attention.rope
  if (spec.architecture === 'gemma3') {
    const [full, sliding] = [ropeOf(false) ?? ropeOf(true), ropeOf(true) ?? ropeOf(false)]
    return {
      full_attention: parametersOf(spec, full, attention),
      sliding_attention: parametersOf(spec, sliding, attention),
    }
  }
  return parametersOf(spec, ropeOf(false) ?? ropeOf(true), attention)
}

function parametersOf(spec: DecoderSpec, rope: RopeSpec | null | undefined, { headDim }: AttentionSpec): Fields {
  if (!rope) return { rope_type: 'default', rope_theta: 10_000 }
  const { theta, factor, divisors } = ropeForm(rope)
  const base = { rope_theta: theta, partial_rotary_factor: rope.rotaryDim / headDim }
  if (!divisors && rope.attentionFactor === 1) {
    if (factor === 1) return { rope_type: 'default', ...base }
    if (linearPositions(spec, factor)) return { rope_type: 'linear', factor, ...base }
  }
  const all = rope.inverseFrequencies.map((_, i) => (divisors?.[i] ?? 1) * factor)
  return {
    rope_type: 'longrope',
    ...base,
    short_factor: all,
    long_factor: all,
    factor: 1,
    attention_factor: rope.attentionFactor,
    original_max_position_embeddings: spec.maxPositions,
  }
}

/** Linear scaling reaches so many times the positions that a configuration states; Gemma 3 states those that are reached. */
function linearPositions({ architecture, maxPositions }: DecoderSpec, factor: number): number | null {
  if (architecture === 'gemma3') return maxPositions
  const stated = maxPositions / factor
  return Number.isInteger(stated) ? stated : null
}

function statedPositions(spec: DecoderSpec, rope: RopeSpec | null): number {
  const form = rope && ropeForm(rope)
  if (!form || form.divisors || form.factor === 1 || rope.attentionFactor !== 1) return spec.maxPositions
  return linearPositions(spec, form.factor) ?? spec.maxPositions
}

function nameOf(activation: LayerSpec['mlp']['activation']): string {
  const name = activationName(activation)
  if (name !== undefined) return name
  throw new FoveaError('unsupported', 'exportSafetensors', 'the activation of the MLP has no name in configurations')
}

function nearWhole(value: number): number {
  const whole = Math.round(value)
  return Math.abs(value - whole) < 1e-6 * value ? whole : value
}
