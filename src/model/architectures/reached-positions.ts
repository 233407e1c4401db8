import type { SpecOptions } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { ropeSection } from './rope-section.ts'

/** What an architecture knows about its rope scalings. */
export interface ReachRules {
  /** rope types that are older names of others */
  readonly aliases?: Readonly<Record<string, string>>
  /** `max_position_embeddings` counts what the scaling gains (Gemma 3) */
  readonly scaledAlready?: boolean
}

/**
 * The positions that a model can be run with, as vLLM derives them (transformers has no bound): linear scaling reaches
 * factor times the positions that are stated, YaRN factor times the original ones, dynamic scaling whatever context it is
 * chosen for. The positions that Llama 3's scaling and LongRoPE state are the extended ones. Never fewer than are stated.
 */
export function reachedPositions(
  config: ConfigFields,
  stated: number,
  { contextLength }: SpecOptions,
  { aliases = {}, scaledAlready = false }: ReachRules,
): number {
  if (config.rope) return config.rope.reach(stated)
  const scaling = ropeSection(config)
  if (!scaling || scaledAlready) return stated
  const field = scaling.has('rope_type') ? 'rope_type' : 'type'
  const named = scaling.text(field, 'default')
  const type = aliases[named] ?? named
  if (type === 'dynamic') return Math.max(stated, contextLength ?? stated)
  if (type === 'linear') return Math.max(stated, Math.floor(stated * scaling.positive('factor')))
  if (type !== 'yarn') return stated
  const original = originalPositions(config, scaling, stated)
  return Math.max(stated, Math.floor(original * scaling.positive('factor', stated / original)))
}

/** `original_max_position_embeddings`: as in transformers that of the configuration itself before that of the scaling. */
export function originalPositions(config: ConfigFields, scaling: ConfigFields, fallback: number): number {
  const name = 'original_max_position_embeddings'
  return (config.has(name) ? config : scaling).size(name, fallback)
}
