import { weightShapes } from '../../model/architectures/weight-shapes.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import type { AttentionVariant } from '../attention-variants.ts'
import type { ParameterDeclaration } from '../parameter-store.ts'
import { variantParameters } from './variant-parameters.ts'

/**
 * The parameters of a decoder by their names of `Checkpoint`. Queries, keys and values of a layer lie joined, and so do gate
 * and up, each biases too: one product serves them. Behind them come those of an attention that has some of its own.
 */
export function decoderParameters(spec: DecoderSpec, attention?: AttentionVariant): ParameterDeclaration[][] {
  const blocks: ParameterDeclaration[][] = []
  const open = new Map<string, ParameterDeclaration[]>()
  for (const [name, shape] of weightShapes(spec)) {
    const block = blockName(name)
    const known = open.get(block)
    if (known) known.push({ name, shape })
    else {
      const made = [{ name, shape }]
      open.set(block, made)
      blocks.push(made)
    }
  }
  if (attention?.gateDivisor !== undefined)
    for (const [i, layer] of spec.layers.entries()) {
      const { numHeads } = layer.attention
      const name = gateName(`layers.${i}`)
      blocks.push([{ name, shape: [numHeads, spec.hiddenSize] }], [{ name: `${name}.bias`, shape: [numHeads] }])
    }
  const own = attention ? variantParameters(spec, attention) : []
  return [...blocks, ...own.map(({ initial: _, ...declaration }) => [declaration])]
}

/** The same for weights that lie joined. */
function blockName(name: string): string {
  return name
    .replace(/\.attention\.(query|key|value)(\.bias)?$/, '.attention.qkv$2')
    .replace(/\.mlp\.gate(\.bias)?$/, '.mlp.up$1')
}

/** The matrix from which a layer's decays come, where it has some: [heads, hidden size], with a bias. */
export function gateName(layer: string): string {
  return `${layer}.attention.gate`
}
