import type { LinearWeight } from '../nn/place-linear.ts'
import type { NormSpec } from './norm-spec.ts'
import type { PerLayerSpec } from './per-layer-spec.ts'
import type { PlacedNorm } from './placed-norm.ts'

/** What makes embeddings of each layer, and what layers do with them, on a device. */
export interface PlacedPerLayer {
  readonly spec: PerLayerSpec
  readonly table: LinearWeight // [V, L·P]
  readonly projection: LinearWeight // [L·P, C]
  readonly norm: PlacedNorm // [P]
  readonly layers: readonly PlacedPerLayerBranch[]
}

export interface PlacedPerLayerBranch {
  readonly gate: LinearWeight // [P, C]
  readonly output: LinearWeight // [C, P]
  readonly norm: PlacedNorm // [C]
}

/** What places weights (`WeightLoader`). */
interface Placer {
  linear(name: string, parts: readonly string[], bias: boolean): Promise<LinearWeight>
  norm(name: string, spec: NormSpec, size: number, factor?: number): Promise<PlacedNorm>
}

export async function loadPerLayer(
  loader: Placer,
  spec: PerLayerSpec,
  { numLayers, hiddenSize }: { readonly numLayers: number; readonly hiddenSize: number },
): Promise<PlacedPerLayer> {
  const linear = (name: string) => loader.linear(name, [name], false)
  const layers: PlacedPerLayerBranch[] = []
  const [table, projection] = [await linear('perLayer.table'), await linear('perLayer.projection')]
  const norm = await loader.norm('perLayer.norm', spec.norm, spec.size, spec.normScale)
  for (let i = 0; i < numLayers; i++)
    layers.push({
      gate: await linear(`layers.${i}.perLayer.gate`),
      output: await linear(`layers.${i}.perLayer.output`),
      norm: await loader.norm(`layers.${i}.perLayer.norm`, spec.branchNorm, hiddenSize),
    })
  return { spec, table, projection, norm, layers }
}

/** Bytes that they take on a device; `linear` and `norm` are those of `weightBytes`. */
export function perLayerBytes(
  { size, norm: { bias }, branchNorm }: PerLayerSpec,
  numLayers: number,
  of: { linear(parts: readonly string[], bias: boolean): number; norm(wanted: NormSpec): number },
): number {
  const linear = (name: string) => of.linear([name], false)
  const layers = Array.from({ length: numLayers }, (_, i) => `layers.${i}.perLayer`)
  return (
    linear('perLayer.table') +
    linear('perLayer.projection') +
    4 * size * (bias ? 2 : 1) +
    layers.reduce((sum, name) => sum + linear(`${name}.gate`) + linear(`${name}.output`) + of.norm(branchNorm), 0)
  )
}

/** Shapes of their weights; `linear` and `norm` are those of `shapesInto`. */
export function perLayerShapes(
  { size, vocabSize, norm, branchNorm }: PerLayerSpec,
  { numLayers, hiddenSize }: { readonly numLayers: number; readonly hiddenSize: number },
  into: {
    linear(name: string, rows: number, cols: number, bias: boolean): void
    norm(name: string, of: NormSpec, size: number): void
  },
): void {
  into.linear('perLayer.table', vocabSize, numLayers * size, false)
  into.linear('perLayer.projection', numLayers * size, hiddenSize, false)
  into.norm('perLayer.norm', norm, size)
  for (let i = 0; i < numLayers; i++) {
    into.linear(`layers.${i}.perLayer.gate`, size, hiddenSize, false)
    into.linear(`layers.${i}.perLayer.output`, hiddenSize, size, false)
    into.norm(`layers.${i}.perLayer.norm`, branchNorm, hiddenSize)
  }
}
