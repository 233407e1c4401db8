import type { RopeSpec } from '../decoder-spec.ts'
import { defaultRope } from '../rope/default-rope.ts'
import { dynamicRope } from '../rope/dynamic-rope.ts'
import { linearRope } from '../rope/linear-rope.ts'
import { llama3Rope } from '../rope/llama3-rope.ts'
import { longRope } from '../rope/long-rope.ts'
import { proportionalRope } from '../rope/proportional-rope.ts'
import type { RopeBase, RopeFrequencies } from '../rope/rope-scaling.ts'
import { yarnRope } from '../rope/yarn-rope.ts'
import type { SpecOptions } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { originalPositions } from './reached-positions.ts'
import { ropeSection } from './rope-section.ts'

export interface RopeRequest {
  readonly headDim: number
  readonly maxPositions: number
  readonly options: SpecOptions
  /** of `rope_parameters` that hold one object per type of layer */
  readonly layerType?: string
  /** what the architecture takes where the configuration says nothing */
  readonly defaults?: { readonly theta?: number; readonly partial?: number }
  /** rope types that are older names of others */
  readonly aliases?: Readonly<Record<string, string>>
  /** pairs are neighbours (false: halves of what turns) */
  readonly interleaved?: boolean
}

/**
 * Rotary positions from a configuration: `rope_parameters` { rope_type, rope_theta, ... }, possibly one object per type of
 * layer, or the older `rope_theta` with `rope_scaling` { type or rope_type, ... }.
 *
 * Throws `format` naming the field: an unknown type, a missing or wrong number, lists of the wrong length, a rotary part
 * of a head that is no even number of elements.
 */
export function readRope(config: ConfigFields, request: RopeRequest): RopeSpec {
  const { headDim, defaults = {} } = request
  const parameters = ropeSection(config, request.layerType)
  const theta = (parameters?.has('rope_theta') ? parameters : config).positive('rope_theta', defaults.theta ?? 10_000)
  const partialFrom = parameters?.has('partial_rotary_factor') ? parameters : config
  const partial = partialFrom.positive('partial_rotary_factor', defaults.partial ?? 1)
  // all of a head is in pairs, of which some stand still
  const rotaryDim = ropeType(parameters) === 'proportional' ? headDim : Math.trunc(headDim * partial)
  if (rotaryDim < 2 || rotaryDim % 2 !== 0 || rotaryDim > headDim)
    throw partialFrom.fault(
      'partial_rotary_factor',
      `${partial} of heads of ${headDim} turns ${rotaryDim} elements, which must be an even number`,
    )
  const base = { rotaryDim, theta }
  const contextLength = request.options.contextLength ?? request.maxPositions
  const frequencies =
    config.rope?.frequencies(base, request.layerType ?? 'full_attention', contextLength) ??
    scaled(config, parameters, { ...base, partial }, request)
  return { rotaryDim, interleaved: request.interleaved ?? false, ...frequencies }
}

const typeField = (scaling: ConfigFields) => (scaling.has('rope_type') ? 'rope_type' : 'type')

function ropeType(scaling: ConfigFields | null): string {
  return scaling ? scaling.text(typeField(scaling), 'default') : 'default'
}

function scaled(
  config: ConfigFields,
  scaling: ConfigFields | null,
  base: RopeBase & { readonly partial: number },
  { maxPositions, options, aliases = {} }: RopeRequest,
): RopeFrequencies {
  if (!scaling) return defaultRope(base)
  const named = ropeType(scaling)
  const contextLength = options.contextLength ?? maxPositions
  const original = () => originalPositions(config, scaling, maxPositions)
  const optional = (name: string) => (scaling.has(name) ? scaling.positive(name) : null)
  // transformers takes 0 for nothing said
  const orZero = (name: string) => (scaling.isZero(name) ? null : optional(name))
  switch (aliases[named] ?? named) {
    case 'default':
      return defaultRope(base)
    case 'linear':
      return linearRope(base, { factor: scaling.positive('factor') })
    case 'dynamic':
      return dynamicRope(base, {
        factor: scaling.positive('factor'),
        originalMaxPositions: maxPositions,
        contextLength,
      })
    case 'llama3':
      return llama3Rope(base, {
        factor: scaling.positive('factor'),
        lowFreqFactor: scaling.positive('low_freq_factor'),
        highFreqFactor: scaling.positive('high_freq_factor'),
        originalMaxPositions: original(),
      })
    case 'proportional':
      return proportionalRope({
        headDim: base.rotaryDim,
        theta: base.theta,
        partial: base.partial,
        factor: scaling.positive('factor', 1),
      })
    case 'yarn':
      return yarnRope(base, {
        factor: scaling.positive('factor', maxPositions / original()),
        originalMaxPositions: original(),
        betaFast: orZero('beta_fast') ?? 32,
        betaSlow: orZero('beta_slow') ?? 1,
        truncate: scaling.flag('truncate', true),
        attentionFactor: optional('attention_factor'),
        mscale: orZero('mscale'),
        mscaleAllDim: orZero('mscale_all_dim'),
      })
    case 'longrope': {
      const pairs = base.rotaryDim / 2
      const growth = maxPositions / original()
      return longRope(base, {
        shortFactor: scaling.numbers('short_factor', pairs),
        longFactor: scaling.numbers('long_factor', pairs),
        originalMaxPositions: original(),
        contextLength,
        factor: scaling.positive('factor', growth),
        attentionFactor: optional('attention_factor'),
      })
    }
    default:
      throw scaling.fault(
        typeField(scaling),
        `is the unknown type "${named}"; known are default, linear, dynamic, llama3, yarn, longrope and proportional`,
      )
  }
}
