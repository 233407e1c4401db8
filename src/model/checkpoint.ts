import type { MatrixData, WeightDType } from '../nn/weight-data.ts'
import type { DecoderSpec } from './decoder-spec.ts'
import type { Tokenizer } from './tokenizer.ts'

/**
 * A model on disk (a Hugging Face folder or a GGUF file), opened: its specification is read, its weights are read when
 * asked for. Weights have the names below whatever the file calls them, matrices are [output features, input features],
 * rows of queries and keys lie as `RopeSpec.interleaved` says.
 *
 *   tokenEmbedding, positionEmbedding, lmHead (absent when tied)           matrices; lmHead.bias
 *   layers.N.attention.query | key | value | output                       matrices, each with .bias where the spec says
 *   layers.N.attention.queryNorm | keyNorm                                vectors
 *   layers.N.attention.query | queryDown and queryUp | latentDown | latentUp   matrices, latent attention's
 *   layers.N.attention.queryDownNorm | latentNorm                         vectors
 *   layers.N.mlp.gate | up | down                                         matrices, each with .bias where the spec says
 *   layers.N.norms.beforeAttention | afterAttention | beforeMlp | afterMlp   vectors, each with .bias for a layer norm
 *   layers.N.mixture.router | experts.gate | up | down | shared.gate | up | down   matrices; those of all experts are one
 *   layers.N.mixture.selectionBias | expertScale | norms.beforeRouter …       vectors, where the spec says
 *   layers.N.outputScale                                                  vector of one number
 *   perLayer.table | projection | norm, layers.N.perLayer.gate | output | norm   matrices, and the norms vectors
 *   streams.into.N | outOf.N, layers.N.streams.router | prediction | correction   matrices; layers.N.streams.norm | scale   vectors
 *   layers.N.laurel.down | up                                             matrices; layers.N.laurel.norm   vector
 *   finalNorm                                                             vector, finalNorm.bias
 *
 * Projections that a file stores fused are given apart (rows of one matrix are contiguous; nothing is dequantised).
 */
export interface Checkpoint extends WeightSource {
  readonly spec: DecoderSpec
  readonly tokenizer: Tokenizer
}

/** The weights of a model on disk, by our names. */
export interface WeightSource {
  /** the path or name that it was opened by */
  readonly source: string
  /** identifies architecture, sizes and weights; a saved prefix is tied to it */
  readonly fingerprint: string
  /** bytes of all weights as stored */
  readonly byteLength: number
  has(name: string): boolean
  /** What `matrix` would give, without reading it (synchronous, for planning). Throws what `matrix` throws before it reads. */
  matrixInfo(name: string): { readonly dtype: WeightDType; readonly rows: number; readonly cols: number }
  /** Throws `format` naming file and tensor: missing, of the wrong shape, of an unknown dtype, cut short. */
  matrix(name: string): Promise<MatrixData>
  /** Rows `from` … to − 1 of a matrix, where it can be read in pieces; absent: `matrix` gives all of it. */
  matrixRows?(name: string, from: number, to: number): Promise<MatrixData>
  /** A bias or the weight of a normalisation, widened to f32. */
  vector(name: string): Promise<Float32Array>
  close(): Promise<void>
}
