import { weightShapes } from '../../model/architectures/weight-shapes.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import type { ParameterDeclaration } from '../parameter-store.ts'

/**
 * The parameters of a decoder by their names of `Checkpoint`. Queries, keys and values of a layer lie joined, and so do gate
 * and up, each biases too: one product serves them.
 */
export function decoderParameters(spec: DecoderSpec): ParameterDeclaration[][] {
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
  return blocks
}

/** The same for weights that lie joined. */
function blockName(name: string): string {
  return name
    .replace(/\.attention\.(query|key|value)(\.bias)?$/, '.attention.qkv$2')
    .replace(/\.mlp\.gate(\.bias)?$/, '.mlp.up$1')
}
