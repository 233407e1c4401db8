import type { Value } from '../../tile/index.ts'
import type { WeightDType } from '../weight-data.ts'
import { type PlaneName, placedFormats } from './placed-format.ts'

/** A tile of a weight: weight = quants · scale − offset; null: 1 and 0. */
export interface WeightTerms {
  readonly quants: Value
  readonly scale: Value | null
  readonly offset: Value | null
}

/** Loads entries of a plane, as many as there are indices. */
export type EntryLoader = (plane: PlaneName, index: Value) => Value

/**
 * Input features `k` of part `part` of a weight's rows, each part `depth` inputs long. `k` is a range; `at` is where scales
 * are read, `k` itself or the first of `k` where all of it lies in one group.
 */
export function weightTerms(
  dtype: WeightDType,
  entry: EntryLoader,
  part: number,
  depth: Value,
  k: Value,
  at: Value,
): WeightTerms {
  const whole = part === 0 ? at : at.add(depth.mul(part))
  const nibble = (index: Value, second: boolean) => {
    const pair = entry('quants', index)
    return second ? pair.shr(4) : pair.and(15)
  }
  switch (dtype) {
    case 'f32':
    case 'f16':
    case 'bf16':
      return { quants: entry('values', k), scale: null, offset: null }
    case 'q8_0':
      return { quants: entry('quants', k).cast('f32'), scale: entry('scales', whole.shr(5)).cast('f32'), offset: null }
    case 'q4_0':
      return {
        quants: nibble(k, part === 1)
          .sub(8)
          .cast('f32'),
        scale: entry('scales', whole.shr(5)).cast('f32'),
        offset: null,
      }
    case 'q4_k': {
      const [group, block] = [whole.shr(5), whole.shr(8)]
      const [groups, blocks] = [depth.shr(4), depth.shr(7)]
      return {
        quants: nibble(k, part === 1).cast('f32'),
        scale: entry('supers', block).mul(entry('scales', group).cast('f32')),
        offset: entry('supers', block.add(blocks)).mul(entry('scales', group.add(groups)).cast('f32')),
      }
    }
    case 'q6_k': {
      const low = nibble(part % 2 === 0 ? k : k.add(depth), part >= 2)
      const high = entry('high', k)
        .shr(2 * part)
        .and(3)
      return {
        quants: low.add(high.shl(4)).sub(32).cast('f32'),
        scale: entry('supers', whole.shr(8)).mul(entry('scales', whole.shr(4)).cast('f32')),
        offset: null,
      }
    }
    default:
      return dtype satisfies never
  }
}

/** The weights themselves, in f32 where they are quantised. */
export function weightTile(...args: Parameters<typeof weightTerms>): Value {
  const { quants, scale, offset } = weightTerms(...args)
  const scaled = scale ? quants.mul(scale) : quants
  return offset ? scaled.sub(offset) : scaled
}

/** How many inputs a weight's parts hold each. */
export function partDepth(dtype: WeightDType, inFeatures: number): number {
  return inFeatures / placedFormats[dtype].parts
}
