import { FoveaError } from '../../tile/index.ts'
import { shown } from '../files/shown.ts'
import { ggmlRope } from '../rope/ggml-rope.ts'
import type { RopeOfFile } from './config-fields.ts'

/** Divisors of rotary frequencies that a file has as tensors (`rope_freqs`, `rope_factors_short`, `rope_factors_long`). */
export interface RopeFactors {
  readonly all?: readonly number[]
  readonly short?: readonly number[]
  readonly long?: readonly number[]
}

/** Reads a key of an architecture, by its name after that of the architecture. */
export type GgufKey = (name: string) => unknown

/**
 * Rotary positions of a GGUF file as llama.cpp reads them: `rope.scaling.type` none, linear (which it is where there is no
 * type), yarn or longrope; a factor of 0 is none; YaRN's betas and how much of its ramp is taken; `attn_factor` on top.
 * Layers with a sliding window of Gemma 3 are not scaled. Betas and the parts of the ramp that a file states are followed for
 * every architecture; llama.cpp itself looks for these keys with a few only (Grok among them), not with those of here.
 *
 * Throws `format` naming file and key: an unknown type, what is no number above 0, lists of the wrong length.
 */
export function ggufRope(
  file: string,
  ggufName: string,
  key: GgufKey,
  factors: RopeFactors,
  plainWindows: boolean,
): RopeOfFile {
  const fault = (name: string, message: string) =>
    new FoveaError('format', 'openCheckpoint', `${file}: ${ggufName}.${name} ${message}`)
  const number = (name: string, fallback: number, least: 'zero' | 'above' = 'above') => {
    const value = key(name) ?? fallback
    if (typeof value === 'number' && Number.isFinite(value) && (value > 0 || (least === 'zero' && value === 0)))
      return value
    throw fault(name, `must be a number above 0, got ${shown(value)}`)
  }
  const type = key('rope.scaling.type') ?? 'linear'
  if (type !== 'none' && type !== 'linear' && type !== 'yarn' && type !== 'longrope')
    throw fault('rope.scaling.type', `is the unknown type ${shown(type)}; known are none, linear, yarn and longrope`)
  const older = number('rope.scale_linear', 0, 'zero')
  const stated = number('rope.scaling.factor', older, 'zero')
  const factor = type === 'none' || stated === 0 ? 1 : stated
  const trained = number('context_length', 2048)
  const originalPositions = number('rope.scaling.original_context_length', 0, 'zero') || trained
  const attentionFactor = number('rope.scaling.attn_factor', 1) * number('rope.scaling.yarn_attn_factor', 1)
  const scaling = {
    extFactor: number('rope.scaling.yarn_ext_factor', type === 'yarn' ? 1 : 0, 'zero'),
    betaFast: number('rope.scaling.yarn_beta_fast', 32),
    betaSlow: number('rope.scaling.yarn_beta_slow', 1),
    originalPositions,
    attentionFactor,
  }
  const { all, short, long } = factors

  return {
    frequencies(base, layerType, contextLength) {
      if (plainWindows && layerType === 'sliding_attention')
        return ggmlRope(base, { ...scaling, factor: 1, divisors: null })
      const [name, divisors] = all
        ? ['rope_freqs', all]
        : contextLength > originalPositions
          ? ['rope_factors_long', long]
          : ['rope_factors_short', short]
      const pairs = base.rotaryDim / 2
      if (divisors && divisors.length !== pairs)
        throw new FoveaError(
          'format',
          'openCheckpoint',
          `${file}: ${name}.weight must have ${pairs} numbers, got ${divisors.length}`,
        )
      return ggmlRope(base, { ...scaling, factor, divisors: divisors ?? null })
    },
    // the positions that are stated for windows of Gemma 3, Llama 3's divisors and LongRoPE are the extended ones
    reach(positions) {
      if (plainWindows || factor === 1 || type === 'longrope') return positions
      const from = type === 'yarn' || key('rope.scaling.original_context_length') ? originalPositions : positions
      return Math.max(positions, Math.floor(from * factor))
    },
  }
}
