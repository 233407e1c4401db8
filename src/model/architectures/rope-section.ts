import type { ConfigFields } from './config-fields.ts'

/**
 * The object that holds the settings of rotary positions, null for none: `rope_scaling { type or rope_type, ... }`, which
 * transformers takes where a file has both, or `rope_parameters { rope_type, rope_theta, ... }`; of one that holds an object
 * for each type of layer, that of `layerType`.
 *
 * Throws `format` where both are there and only the one that is not taken says `rope_theta`: transformers then turns by a
 * base of 10,000, which nobody can have meant.
 */
export function ropeSection(config: ConfigFields, layerType = 'full_attention'): ConfigFields | null {
  const [older, newer] = [config.section('rope_scaling'), config.section('rope_parameters')]
  const byLayer = newer?.section(layerType)
  const taken = older?.isEmpty === false ? older : newer
  if (byLayer && taken === older)
    throw config.fault('rope_scaling', 'stands beside rope_parameters of each type of layer: join the two')
  if (byLayer) return byLayer
  if (taken === older && newer?.has('rope_theta') && !older?.has('rope_theta') && !config.has('rope_theta'))
    throw config.fault('rope_scaling', 'is taken before rope_parameters, which alone says rope_theta: join the two')
  return taken
}
