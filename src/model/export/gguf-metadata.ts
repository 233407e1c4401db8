import { type WeightDType, weightFormats } from '../../nn/block-formats/weight-formats.ts'
import { FoveaError } from '../../tile/index.ts'
import type { Architecture } from '../architectures/architecture.ts'
import type { DecoderSpec, LayerSpec } from '../decoder-spec.ts'
import type { GgufTypedValue } from '../files/write-gguf.ts'
import type { TensorToWrite } from '../files/write-safetensors.ts'
import { ggufValue } from './gguf-values.ts'
import { ropeForm } from './rope-form.ts'

/** The tensors that llama.cpp reads a divisor of each rotary frequency from. */
function divisorTensors({ name, gguf }: Architecture): readonly string[] | undefined {
  if (name === 'phi3') return ['rope_factors_long.weight', 'rope_factors_short.weight']
  return gguf?.divisors && ['rope_freqs.weight']
}

/**
 * What a GGUF file says of an architecture, under llama.cpp's keys, and the tensors that rope scalings need. Throws
 * `unsupported` for a rope scaling that llama.cpp does not read for the architecture.
 */
export function ggufMetadata(
  spec: DecoderSpec,
  model: Architecture & { readonly ggufName: string },
  name: string,
  dtype: WeightDType,
): { readonly metadata: Map<string, GgufTypedValue>; readonly tensors: readonly TensorToWrite[] } {
  const { architecture, layers, finalNorm } = spec
  const arch = model.ggufName
  const metadata = new Map<string, GgufTypedValue>()
  const text = (key: string, value: string) => metadata.set(key, { type: 'string', value })
  const count = (key: string, value: number) => metadata.set(key, { type: 'u32', value })
  const real = (key: string, value: number) => metadata.set(key, { type: 'f32', value })
  const [first] = layers
  if (!first) throw new FoveaError('unsupported', 'exportGguf', `a ${architecture} without layers`)
  const { attention } = first

  text('general.architecture', arch)
  text('general.type', 'model')
  text('general.name', name)
  count('general.file_type', weightFormats[dtype].ggml?.fileType ?? 1)
  count('general.quantization_version', 2)
  count(`${arch}.vocab_size`, spec.vocabSize)
  count(`${arch}.context_length`, spec.maxPositions)
  count(`${arch}.embedding_length`, spec.hiddenSize)
  count(`${arch}.block_count`, layers.length)
  count(`${arch}.feed_forward_length`, denseSize(layers))
  count(`${arch}.attention.head_count`, attention.numHeads)
  count(`${arch}.attention.head_count_kv`, attention.numKvHeads)
  count(`${arch}.attention.key_length`, attention.headDim)
  count(`${arch}.attention.value_length`, attention.headDim)
  real(`${arch}.attention.layer_norm_${finalNorm.kind === 'rms' ? 'rms_' : ''}epsilon`, finalNorm.eps)
  const window = layers.find((layer) => layer.attention.window !== null)?.attention.window
  if (window) count(`${arch}.attention.sliding_window`, window)
  if (attention.softCap !== null) real(`${arch}.attn_logit_softcapping`, attention.softCap)
  if (spec.logits.softCap !== null) real(`${arch}.final_logit_softcapping`, spec.logits.softCap)
  if (architecture === 'gpt_neox')
    metadata.set(`${arch}.use_parallel_residual`, { type: 'bool', value: first.parallel })

  for (const [field, key] of Object.entries(model.gguf?.fields ?? {})) {
    const value = ggufValue(spec, field)
    if (value) metadata.set(`${arch}.${key}`, value)
  }
  for (const [key, value] of Object.entries(model.gguf?.only ?? {}))
    metadata.set(`${arch}.${key}`, { type: typeof value === 'boolean' ? 'bool' : 'u32', value })
  const tensors = ropeMetadata(spec, model, metadata)
  return { metadata, tensors }
}

/** The width of an MLP that is no shared expert; where there is none, that of an expert. */
function denseSize(layers: readonly LayerSpec[]): number {
  const dense = layers.find((layer) => !layer.mixture)
  return dense?.mlp.size ?? layers[0]?.mixture?.size ?? 0
}

/** Some architectures have two bases: that of layers that see all, with the scaling, and that of layers that see a window. */
function ropeMetadata(
  spec: DecoderSpec,
  model: Architecture & { readonly ggufName: string },
  metadata: Map<string, GgufTypedValue>,
): TensorToWrite[] {
  const arch = model.ggufName
  const turning = (layer: LayerSpec) => layer.attention.rope !== null
  const { windowBase } = model.gguf ?? {}
  const twoBases = windowBase !== undefined
  const local = twoBases ? spec.layers.find((layer) => turning(layer) && layer.attention.window !== null) : undefined
  const all = spec.layers.find((layer) => turning(layer) && (!twoBases || layer.attention.window === null))
  const refuse = (what: string) =>
    new FoveaError('unsupported', 'exportGguf', `llama.cpp reads no ${what} for ${spec.architecture}`)
  const rope = all?.attention.rope ?? local?.attention.rope
  if (!rope) return []
  const { theta, factor, divisors } = ropeForm(rope)
  metadata.set(`${arch}.rope.dimension_count`, { type: 'u32', value: rope.rotaryDim })
  metadata.set(`${arch}.rope.freq_base`, { type: 'f32', value: theta })
  if (factor !== 1) {
    metadata.set(`${arch}.rope.scaling.type`, { type: 'string', value: 'linear' })
    metadata.set(`${arch}.rope.scaling.factor`, { type: 'f32', value: factor })
  }
  if (local?.attention.rope) {
    const form = ropeForm(local.attention.rope)
    if (form.factor !== 1 || form.divisors) throw refuse('scaling of the rotary positions of windows')
    if (windowBase === null && form.theta !== theta) throw refuse('base of the rotary positions of windows')
    if (windowBase !== null) metadata.set(`${arch}.rope.freq_base_swa`, { type: 'f32', value: form.theta })
  }
  const names = divisorTensors(model)
  if (divisors && !names) throw refuse('divisors of rotary frequencies')
  if (rope.attentionFactor !== 1) {
    if (spec.architecture !== 'phi3') throw refuse('factor of rotary attention')
    metadata.set(`${arch}.rope.scaling.attn_factor`, { type: 'f32', value: rope.attentionFactor })
  }
  if (spec.architecture === 'phi3')
    metadata.set(`${arch}.rope.scaling.original_context_length`, { type: 'u32', value: spec.maxPositions })
  // with a factor the positions of the file are those that it reaches: the original ones say so
  if (factor !== 1 && !twoBases) {
    const original = Math.max(1, Math.floor(spec.maxPositions / factor))
    metadata.set(`${arch}.rope.scaling.original_context_length`, { type: 'u32', value: original })
  }
  if (!divisors) return []
  const bytes = new Uint8Array(Float32Array.from(divisors).buffer)
  const shape = [divisors.length]
  return (names ?? []).map((name) => ({ name, dtype: 'f32', shape, read: async () => bytes }))
}
