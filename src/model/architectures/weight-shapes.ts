import type { DecoderSpec, LayerSpec, NormSpec } from '../decoder-spec.ts'
import { gateWidth } from '../step-buffers.ts'
import { valueWidth } from '../value-width.ts'
import { headNormSize } from '../weight-groups.ts'

/**
 * All weights that a specification asks for, by their names of checkpoint.ts: [outputs, inputs] of a matrix, [n] of a
 * vector. The head is among them unless it is tied.
 */
export function weightShapes(spec: DecoderSpec): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>()
  const { hiddenSize: C, vocabSize: V } = spec
  const into = shapesInto(shapes)
  const { linear, norm } = into
  shapes.set('tokenEmbedding', [V, C])
  const { learnedPositions, firstPosition = 0, norm: embeddingNorm } = spec.embedding
  if (learnedPositions) shapes.set('positionEmbedding', [firstPosition + spec.maxPositions, C])
  norm('embeddingNorm', embeddingNorm ?? null, C)
  spec.layers.forEach((layer, index) => {
    layerShapes(`layers.${index}`, layer, C, into)
  })
  norm('finalNorm', spec.finalNorm, C)
  if (!spec.logits.tied) linear('lmHead', V, C, spec.logits.bias)
  return shapes
}

/** What sets the shapes of a linear layer, of a normalisation (null: none), of a vector. */
export interface ShapesInto {
  linear(name: string, rows: number, cols: number, bias: boolean): void
  norm(name: string, of: NormSpec | null, size: number): void
  vector(name: string, size: number): void
}

export function shapesInto(shapes: Map<string, readonly number[]>): ShapesInto {
  return {
    linear(name, rows, cols, bias) {
      shapes.set(name, [rows, cols])
      if (bias) shapes.set(`${name}.bias`, [rows])
    },
    norm(name, of, size) {
      if (!of) return
      if (!of.weightless) shapes.set(name, [size])
      if (of.bias) shapes.set(`${name}.bias`, [size])
    },
    vector(name, size) {
      shapes.set(name, [size])
    },
  }
}

/** The weights of one layer. */
export function layerShapes(
  prefix: string,
  { attention, mlp, norms }: LayerSpec,
  C: number,
  { linear, norm, vector }: ShapesInto,
): void {
  const { numHeads, numKvHeads, headDim, qkNorm, qkvBias, outputBias, sinks } = attention
  linear(`${prefix}.attention.query`, numHeads * headDim, C, qkvBias)
  linear(`${prefix}.attention.key`, numKvHeads * headDim, C, qkvBias)
  linear(`${prefix}.attention.value`, numKvHeads * valueWidth(attention), C, qkvBias)
  linear(`${prefix}.attention.output`, C, numHeads * valueWidth(attention), outputBias)
  if (qkNorm) {
    norm(`${prefix}.attention.queryNorm`, qkNorm.norm, headNormSize(attention, 'queryNorm'))
    norm(`${prefix}.attention.keyNorm`, qkNorm.norm, headNormSize(attention, 'keyNorm'))
  }
  if (sinks) vector(`${prefix}.attention.sinks`, numHeads)
  if (attention.gate) linear(`${prefix}.attention.outputGate`, gateWidth(attention), C, false)
  if (mlp.gated) linear(`${prefix}.mlp.gate`, mlp.size, C, mlp.bias)
  linear(`${prefix}.mlp.up`, mlp.size, C, mlp.bias)
  linear(`${prefix}.mlp.down`, C, mlp.size, mlp.bias)
  if (mlp.learnedActivation) for (const name of xieluNames) vector(`${prefix}.mlp.xielu.${name}`, 1)
  for (const [name, of] of Object.entries(norms)) norm(`${prefix}.norms.${name}`, of, C)
}

/** The numbers of a learned activation. */
const xieluNames = ['alphaP', 'alphaN', 'beta', 'eps']
