import type { ConfigFields } from './config-fields.ts'

export type LayerType = 'full_attention' | 'sliding_attention'

/**
 * The type of each layer: `layer_types`, or `fallback(index)` where the configuration has no list.
 *
 * Throws `format` for a list whose length is not the number of layers, and for a type that is neither.
 */
export function readLayerTypes(
  config: ConfigFields,
  numLayers: number,
  fallback: (index: number) => LayerType,
): readonly LayerType[] {
  const list = config.list('layer_types')
  if (!list) return Array.from({ length: numLayers }, (_, index) => fallback(index))
  if (list.length !== numLayers) throw config.fault('layer_types', `has ${list.length} entries for ${numLayers} layers`)
  return list.map((type, index) => {
    if (type === 'full_attention' || type === 'sliding_attention') return type
    throw config.fault(`layer_types[${index}]`, `must be full_attention or sliding_attention, got ${String(type)}`)
  })
}

/** The window of each layer, null for those that see all: `layer_types`, or `fallback`, and `sliding_window`. */
export function readWindows(
  config: ConfigFields,
  numLayers: number,
  fallback: { readonly window: number | null; type(index: number): LayerType },
): readonly (number | null)[] {
  const window = readWindow(config, fallback.window)
  return readLayerTypes(config, numLayers, fallback.type).map((type) => (type === 'sliding_attention' ? window : null))
}

/** Every so manieth layer sees all, the others a window. */
export function everyNth(pattern: number): (index: number) => LayerType {
  return (index) => ((index + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention')
}

/** `sliding_window`: a number, null for none; `fallback` where the configuration does not have the field at all. */
export function readWindow(config: ConfigFields, fallback: number | null): number | null {
  if (!config.states('sliding_window')) return fallback
  return config.has('sliding_window') ? config.size('sliding_window') : null
}
