import type { DecoderSpec, LayerSpec } from './decoder-spec.ts'

/** The layers that keep keys and values of their own: a cache has a pool for each of them. */
export function keptLayers({ layers }: DecoderSpec): readonly LayerSpec[] {
  return layers.filter(({ attention }) => attention.keysFrom === undefined)
}

/** For each layer which of the pools has its keys and values: its own, or that of the earlier layer whose it reads. */
export function poolOfLayer({ layers }: DecoderSpec): readonly number[] {
  const pools: number[] = []
  let own = 0
  for (const { attention } of layers)
    pools.push(attention.keysFrom === undefined ? own++ : (pools[attention.keysFrom] ?? 0))
  return pools
}
