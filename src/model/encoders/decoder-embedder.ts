import { FoveaError } from '../../tile/index.ts'
import { isNeutral } from '../architectures/harmless-fields.ts'
import type { DecoderSpec, LayerSpec } from '../decoder-spec.ts'
import type { EncoderSpec } from './encoder-spec.ts'

/**
 * A decoder as what gives embeddings: the same layers, causal, all tokens of a text at once and no logits.
 *
 * Throws `unsupported` naming file and setting for one that encoders do not compute, as all are that this file does not know.
 */
export function decoderEmbedder(file: string, spec: DecoderSpec): EncoderSpec {
  const { architecture, vocabSize, hiddenSize, maxPositions, finalNorm, bosToken, eosTokens } = spec
  const check = (what: string, found: object, known: readonly string[]) => {
    for (const [name, value] of Object.entries(found))
      if (!known.includes(name) && value !== undefined && !isNeutral(value))
        throw new FoveaError(
          'unsupported',
          'openEmbedder',
          `${file}: ${architecture} has ${what}.${name}, which is not computed for embeddings`,
        )
  }
  check('decoder', spec, [
    ...['architecture', 'vocabSize', 'hiddenSize', 'maxPositions', 'embedding', 'layers', 'finalNorm'],
    // of what comes after the hidden states
    ...['logits', 'bosToken', 'eosTokens'],
  ])
  check('embedding', spec.embedding, ['scale', 'learnedPositions', 'firstPosition', 'norm'])
  for (const layer of new Set(spec.layers)) checkLayer(layer, check)
  const { scale, learnedPositions, firstPosition: first = 0, norm = null } = spec.embedding
  const positions = learnedPositions ? { rows: first + maxPositions, first, padToken: null } : null
  return {
    architecture,
    vocabSize,
    hiddenSize,
    maxPositions,
    embedding: { scale, positions, tokenTypes: 0, norm },
    layers: spec.layers.map((layer) => ({ ...layer, sumNorms: { attention: null, mlp: null } })),
    finalNorm,
    causal: true,
    bosToken,
    eosTokens,
  }
}

function checkLayer(layer: LayerSpec, check: (what: string, found: object, known: readonly string[]) => void): void {
  check('layer', layer, ['attention', 'mlp', 'norms', 'branchScale'])
  const heads = ['numHeads', 'numKvHeads', 'headDim', 'scale', 'softCap', 'window', 'rope', 'qkNorm']
  check('attention', layer.attention, [...heads, 'qkvBias', 'outputBias'])
  const { qkNorm } = layer.attention
  if (qkNorm) check('attention.qkNorm', qkNorm, ['norm', 'over'])
  if (qkNorm?.over === 'each head') check('attention.qkNorm', { over: qkNorm.over }, [])
  check('mlp', layer.mlp, ['size', 'activation', 'gated', 'bias', 'combine'])
  check('norms', layer.norms, ['beforeAttention', 'afterAttention', 'beforeMlp', 'afterMlp'])
}
