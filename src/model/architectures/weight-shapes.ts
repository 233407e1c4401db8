import type { AttentionSpec, DecoderSpec, LatentSpec, LayerSpec, NormSpec } from '../decoder-spec.ts'
import { branchNorms, type MixtureSpec } from '../mixture-spec.ts'
import { perLayerShapes } from '../placed-per-layer.ts'
import { streamsShapes } from '../placed-streams.ts'
import { gateWidth, queryUpWidth } from '../step-buffers.ts'
import { outputWidth, valueWidth } from '../value-width.ts'
import { headNormSize, mlpName, projectedParts, upParts } from '../weight-groups.ts'

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
  const sizes = { numLayers: spec.layers.length, hiddenSize: C }
  if (spec.perLayer) perLayerShapes(spec.perLayer, sizes, into)
  if (spec.streams) streamsShapes(spec.streams, sizes, into)
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

/** The weights of a mixture; those of all experts are one matrix, expert after expert. */
function mixtureShapes(name: string, mixture: MixtureSpec, C: number, { linear, norm, vector }: ShapesInto): void {
  const {
    experts,
    size,
    gated,
    bias = false,
    routerBias = false,
    selectionBias,
    sharedGate,
    expertScale,
    branches,
  } = mixture
  linear(`${name}.router`, experts, C, routerBias)
  if (selectionBias) vector(`${name}.selectionBias`, experts)
  if (sharedGate) linear(`${name}.sharedGate`, 1, C, false)
  if (expertScale) vector(`${name}.expertScale`, experts)
  if (branches) for (const which of branchNorms) norm(`${name}.norms.${which}`, branches[which], C)
  if (gated) linear(`${name}.experts.gate`, experts * size, C, bias)
  linear(`${name}.experts.up`, experts * size, C, bias)
  linear(`${name}.experts.down`, experts * C, size, bias)
}

/** The weights of one layer. */
export function layerShapes(prefix: string, layer: LayerSpec, C: number, into: ShapesInto): void {
  const { linear, norm, vector } = into
  const { attention, mlp, norms } = layer
  const { numHeads, numKvHeads, headDim, qkNorm, qkvBias, outputBias, sinks } = attention
  if (attention.latent) latentShapes(`${prefix}.attention`, attention, attention.latent, C, into)
  else {
    const rows = { query: numHeads * headDim, key: numKvHeads * headDim, value: numKvHeads * valueWidth(attention) }
    for (const part of projectedParts(attention)) linear(`${prefix}.attention.${part}`, rows[part], C, qkvBias)
  }
  linear(`${prefix}.attention.output`, C, numHeads * outputWidth(attention), outputBias)
  if (qkNorm) {
    norm(`${prefix}.attention.queryNorm`, qkNorm.norm, headNormSize(attention, 'queryNorm'))
    if (attention.keysFrom === undefined)
      norm(`${prefix}.attention.keyNorm`, qkNorm.norm, headNormSize(attention, 'keyNorm'))
  }
  if (sinks) vector(`${prefix}.attention.sinks`, numHeads)
  if (attention.gate) linear(`${prefix}.attention.outputGate`, gateWidth(attention), C, false)
  if (mlp.size > 0) {
    const name = mlpName(prefix, layer)
    for (const part of upParts(name, mlp)) linear(part, mlp.size, C, mlp.bias)
    linear(`${name}.down`, C, mlp.size, mlp.bias)
  }
  if (layer.mixture) mixtureShapes(`${prefix}.mixture`, layer.mixture, C, into)
  if (mlp.learnedActivation) for (const name of xieluNames) vector(`${prefix}.mlp.xielu.${name}`, 1)
  if (layer.laurel) {
    linear(`${prefix}.laurel.down`, layer.laurel.rank, C, false)
    linear(`${prefix}.laurel.up`, C, layer.laurel.rank, false)
    norm(`${prefix}.laurel.norm`, layer.laurel.norm, C)
  }
  if (layer.outputScale) vector(`${prefix}.outputScale`, 1)
  for (const [name, of] of Object.entries(norms)) norm(`${prefix}.norms.${name}`, of, C)
}

function latentShapes(
  prefix: string,
  attention: AttentionSpec,
  { query, norm, rank, nopeDim, valueDim }: LatentSpec,
  C: number,
  into: ShapesInto,
): void {
  const { headDim, numHeads, qkvBias } = attention
  if (query) {
    into.linear(`${prefix}.queryDown`, query.rank, C, qkvBias)
    into.norm(`${prefix}.queryDownNorm`, query.norm, query.rank)
    into.linear(`${prefix}.queryUp`, queryUpWidth(attention), query.rank, false)
  } else into.linear(`${prefix}.query`, queryUpWidth(attention), C, qkvBias)
  into.linear(`${prefix}.latentDown`, headDim, C, qkvBias)
  into.norm(`${prefix}.latentNorm`, norm, rank)
  into.linear(`${prefix}.latentUp`, numHeads * (nopeDim + valueDim), rank, false)
}

/** The numbers of a learned activation. */
const xieluNames = ['alphaP', 'alphaN', 'beta', 'eps']
