import type { StorageDType } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'

/** Sizes of a call, by the letters of the shapes: query [B, T, H, D], key [B, S, Hkv, D], value [B, S, Hkv, Dv]. */
export interface CallShape {
  readonly B: number
  readonly T: number
  readonly S: number
  readonly H: number
  readonly Hkv: number
  readonly D: number
  readonly Dv: number
}

export const floatDTypes: readonly StorageDType[] = ['f32', 'f16', 'bf16']

/**
 * Sizes written as words, `B1 H8 T16384 D64`; what is left out is taken from `defaults`, S from T, Hkv from H, Dv from D.
 * Throws `argument`.
 */
export function parseShape(where: string, words: readonly string[], defaults: Partial<CallShape> = {}): CallShape {
  const given: Partial<Record<keyof CallShape, number>> = { ...defaults }
  for (const word of words.flatMap((text) => text.split(/[\s,]+/)).filter(Boolean)) {
    const match = /^(B|T|S|Hkv|H|Dv|D)=?(\d+)$/.exec(word)
    if (!match)
      throw new FoveaError('argument', where, `shapes read like B1 H8 Hkv2 T4096 S4096 D64 Dv64, got '${word}'`)
    given[match[1] as keyof CallShape] = Number(match[2])
  }
  const { B = 1, T = 1024, H = 8, D = 64 } = given
  return { B, T, S: given.S ?? T, H, Hkv: given.Hkv ?? H, D, Dv: given.Dv ?? D }
}
