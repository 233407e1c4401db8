import type { WeightSource } from './checkpoint.ts'
import type { AttentionSpec, LayerSpec, MlpSpec } from './decoder-spec.ts'
import { projectedOf } from './value-width.ts'

/** Matrices that are placed as one linear layer, and the column of qkv that their outputs begin at. */
export interface WeightGroup {
  readonly parts: readonly string[]
  readonly column: number
}

const partsOf = { all: ['query', 'key', 'value'], queriesAndKeys: ['query', 'key'], queries: ['query'] } as const

/** What ordinary heads project their input to. */
export function projectedParts(spec: AttentionSpec) {
  return partsOf[projectedOf(spec)]
}

/** What a layer projects its input to, part by part. */
export function qkvParts(spec: AttentionSpec): readonly string[] {
  const { latent } = spec
  if (!latent) return projectedParts(spec)
  return [latent.query ? 'queryDown' : 'query', 'latentDown']
}

/** What attention reads of its input: neighbours that are stored in one format make one linear layer. */
export function qkvGroups(checkpoint: WeightSource, layer: string, spec: AttentionSpec): WeightGroup[] {
  const groups: { parts: string[]; column: number; dtype: string }[] = []
  let column = 0
  for (const name of qkvParts(spec)) {
    const part = `${layer}.attention.${name}`
    const { dtype, rows } = checkpoint.matrixInfo(part)
    const last = groups.at(-1)
    if (last?.dtype === dtype) last.parts.push(part)
    else groups.push({ parts: [part], column, dtype })
    column += rows
  }
  return groups
}

/** The name of a layer's MLP: that of the shared expert where the layer is a mixture. */
export function mlpName(layer: string, { mixture }: LayerSpec): string {
  return mixture ? `${layer}.mixture.shared` : `${layer}.mlp`
}

/** What goes into the first linear layer of an MLP of this name. */
export function upParts(mlp: string, { gated }: MlpSpec): string[] {
  return gated ? [`${mlp}.gate`, `${mlp}.up`] : [`${mlp}.up`]
}

/** Elements of the weight that queries or keys are normalised with. */
export function headNormSize(attention: AttentionSpec, which: 'queryNorm' | 'keyNorm'): number {
  const { numHeads, numKvHeads, headDim, qkNorm, keysFrom } = attention
  // keys of another layer are normalised there
  if (which === 'keyNorm' && keysFrom !== undefined) return 0
  const heads = qkNorm?.over === 'head' ? 1 : which === 'queryNorm' ? numHeads : numKvHeads
  return heads * headDim
}
