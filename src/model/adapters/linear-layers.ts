import { architectures } from '../architectures/find-architecture.ts'
import { weightPlace } from '../architectures/locate-weights.ts'
import { weightShapes } from '../architectures/weight-shapes.ts'
import type { DecoderSpec } from '../decoder-spec.ts'

/** A linear layer that gets an adapter. */
export interface LoraTarget {
  /** as `Checkpoint` calls it */
  readonly name: string
  /** as files of the architecture call it, without `.weight`; null where they store it fused with others */
  readonly module: string | null
  readonly outputs: number
  readonly inputs: number
  /** stored [inputs, outputs] */
  readonly transposed: boolean
}

/** The linear layers of a decoder that may have adapters: all but embeddings and the output projection. */
export function linearLayers(spec: DecoderSpec): LoraTarget[] {
  const weights = architectures.find(({ name }) => name === spec.architecture)?.weights
  const names = weights && { names: weights.names, prefix: weights.prefixes[0] ?? '', head: weights.head[0] ?? '' }
  return [...weightShapes(spec)]
    .filter(([name, shape]) => name.startsWith('layers.') && shape.length === 2)
    .map(([name, shape]) => {
      const [outputs = 0, inputs = 0] = shape
      const place = names && weightPlace(spec, names, name, shape)
      const module =
        place && !place.part && place.tensors.length === 1 ? place.tensors[0].replace(/\.weight$/, '') : null
      return { name, module, outputs, inputs, transposed: place?.transposed ?? false }
    })
}
