import type { RopeSpec } from '../decoder-spec.ts'
import { defaultRope } from '../rope/default-rope.ts'
import type { ConfigFields } from './config-fields.ts'
import type { LayerType } from './layer-types.ts'
import { type RopeRequest, readRope } from './read-rope.ts'

/** Newer configurations have an object per type of layer; in older ones `rope_scaling` is of the full layers alone. */
export function readRopes(config: ConfigFields, request: RopeRequest): Record<LayerType, RopeSpec> {
  const full = readRope(config, { ...request, layerType: 'full_attention', defaults: { theta: 1_000_000 } })
  if (config.section('rope_parameters')?.has('sliding_attention'))
    return { full_attention: full, sliding_attention: readRope(config, { ...request, layerType: 'sliding_attention' }) }
  const base = { rotaryDim: request.headDim, theta: config.positive('rope_local_base_freq', 10_000) }
  return {
    full_attention: full,
    sliding_attention: { rotaryDim: base.rotaryDim, interleaved: false, ...defaultRope(base) },
  }
}
