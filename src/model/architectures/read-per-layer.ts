import type { Activation } from '../../nn/index.ts'
import type { NormSpec } from '../norm-spec.ts'
import type { PerLayerSpec } from '../per-layer-spec.ts'
import type { WeightNames } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'

/**
 * Embeddings of each layer as Gemma 3n and 4 have them, null for none: (√P · table[token] + norm(projection · x / √C)) / √2.
 * What is normalised is divided by √C here by giving the norm C times its eps.
 */
export function readPerLayer(
  config: ConfigFields,
  { hiddenSize, vocabSize }: { readonly hiddenSize: number; readonly vocabSize: number },
  { activation, norm }: { readonly activation: Activation; readonly norm: NormSpec },
): PerLayerSpec | null {
  const name = 'hidden_size_per_layer_input'
  if (config.isZero(name)) return null
  const size = config.size(name, 256)
  return {
    ...{ size, vocabSize: config.size('vocab_size_per_layer_input', vocabSize) },
    scale: Math.sqrt(size / 2),
    norm: { ...norm, eps: norm.eps * hiddenSize },
    normScale: Math.SQRT1_2,
    ...{ activation, branchNorm: norm },
  }
}

export const perLayerNames: WeightNames = {
  'perLayer.table': 'embed_tokens_per_layer',
  'perLayer.projection': 'per_layer_model_projection',
  'perLayer.norm': 'per_layer_projection_norm',
  'layers.N.perLayer.gate': 'layers.N.per_layer_input_gate',
  'layers.N.perLayer.output': 'layers.N.per_layer_projection',
  'layers.N.perLayer.norm': 'layers.N.post_per_layer_input_norm',
}
