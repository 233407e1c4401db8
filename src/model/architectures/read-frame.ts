import type { RopeSpec } from '../decoder-spec.ts'
import type { SpecOptions } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { type DecoderSizes, type Heads, readHeads, readSizes } from './plain-decoder.ts'
import type { ReachRules } from './reached-positions.ts'
import { readRope } from './read-rope.ts'

/** What an architecture takes where its configuration says nothing, and how its heads turn. */
export interface FrameDefaults extends ReachRules {
  readonly vocabSize?: number
  readonly maxPositions?: number
  readonly headDim?: number
  readonly theta?: number
  readonly partial?: number
  readonly interleaved?: boolean
}

/** What most configurations state alike: sizes, heads, and rotary positions that all layers share. Throws what their readers throw. */
export function readFrame(
  config: ConfigFields,
  options: SpecOptions,
  defaults: FrameDefaults = {},
): { readonly sizes: DecoderSizes; readonly heads: Heads; readonly rope: RopeSpec } {
  const { interleaved = false, aliases = {} } = defaults
  const sizes = readSizes(config, options, defaults)
  const heads = readHeads(config, sizes.hiddenSize, defaults)
  return { sizes, heads, rope: readRope(config, { ...heads, ...sizes, options, interleaved, aliases, defaults }) }
}
