import type { SpecOptions, WeightNames } from '../architectures/architecture.ts'
import type { ConfigFields } from '../architectures/config-fields.ts'
import { layerShapes, shapesInto } from '../architectures/weight-shapes.ts'
import type { EncoderName, EncoderSpec, ScoreHeadSpec } from './encoder-spec.ts'

/**
 * An encoder: how its configuration reads, and what its weights are called. Our names are those of checkpoint.ts, and
 *
 *   tokenTypes, embeddingNorm                       token types, norm of the embedding
 *   layers.N.sumNorms.attention | mlp               norms after the residual sums
 *   score.dense | norm | output                     the head of a classifier of one label, named from the file's root
 */
export interface EncoderArchitecture {
  readonly name: EncoderName
  /** `model_type` of its configurations */
  readonly modelTypes: readonly string[]
  /** fields that do not matter where `spec` does not ask for them */
  readonly idle?: readonly string[]
  /** Throws `format` naming file and field, `unsupported` for a variant that is not computed here. */
  spec(config: ConfigFields, options: SpecOptions): EncoderSpec
  readonly weights: { readonly prefixes: readonly string[]; readonly names: WeightNames }
  /** its classifier of one label, null where none is computed here; `prefix`: what stands before the encoder's weights */
  readonly classifier:
    | ((config: ConfigFields, prefix: string) => { readonly spec: ScoreHeadSpec; readonly names: WeightNames })
    | null
}

type Shapes = Map<string, readonly number[]>

/** All weights that an encoder asks for, by our names. */
export function encoderShapes(spec: EncoderSpec): ReadonlyMap<string, readonly number[]> {
  const shapes: Shapes = new Map()
  const into = shapesInto(shapes)
  const { norm } = into
  const { hiddenSize: C, vocabSize: V, embedding } = spec
  shapes.set('tokenEmbedding', [V, C])
  if (embedding.positions) shapes.set('positionEmbedding', [embedding.positions.rows, C])
  if (embedding.tokenTypes > 0) shapes.set('tokenTypes', [embedding.tokenTypes, C])
  norm('embeddingNorm', embedding.norm, C)
  for (const [i, layer] of spec.layers.entries()) {
    layerShapes(`layers.${i}`, layer, C, into)
    norm(`layers.${i}.sumNorms.attention`, layer.sumNorms.attention, C)
    norm(`layers.${i}.sumNorms.mlp`, layer.sumNorms.mlp, C)
  }
  norm('finalNorm', spec.finalNorm, C)
  return shapes
}

/** The weights of a head that gives one number. */
export function scoreShapes(head: ScoreHeadSpec, hiddenSize: number): ReadonlyMap<string, readonly number[]> {
  const shapes: Shapes = new Map()
  const { linear, norm } = shapesInto(shapes)
  if (head.dense) linear('score.dense', hiddenSize, hiddenSize, head.dense.bias)
  norm('score.norm', head.norm, hiddenSize)
  linear('score.output', 1, hiddenSize, head.bias)
  return shapes
}
