import type { Value } from '../../tile/index.ts'
import type { BlockFormat } from '../block-formats/block-format.ts'
import { type WeightDType, weightFormats } from '../block-formats/weight-formats.ts'
import { type PlaneName, placedFormats, sharesByte } from './placed-format.ts'

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
  const format = weightFormats[dtype]
  if (format.kind === 'plain') return { quants: entry('values', k), scale: null, offset: null }
  const place = { entry, part, parts: placedFormats[dtype].parts, depth, k, at }
  const whole = quantsAt(format, place)
  const { minus } = format.quantPlaces
  const code = format.table
    ? whole.lookup(format.table)
    : format.float
      ? format.float.decode(whole)
      : minus
        ? whole.sub(minus)
        : whole
  return { quants: code.cast('f32'), ...factorsAt(format, place) }
}

/** The inputs of a tile, and how their entries are loaded. */
interface TilePlace {
  readonly entry: EntryLoader
  readonly part: number
  readonly parts: number
  readonly depth: Value
  readonly k: Value
  readonly at: Value
}

/** Of the row's inputs, those that are `k` of a part. */
function inRow({ part, depth }: TilePlace, k: Value): Value {
  return part === 0 ? k : k.add(depth.mul(part))
}

/** The whole numbers of a tile (i32). */
function quantsAt({ quantPlaces }: BlockFormat, place: TilePlace): Value {
  const { entry, part, parts, depth, k, at } = place
  const values = quantPlaces.fields.map(({ bits, mask, bit }, i) => {
    const plane = i === 0 ? 'quants' : 'high'
    if (bits === 1) return entry(plane, inRow(place, at).shr(5)).shr(inRow(place, k).and(31)).and(1).shl(bit)
    // a byte holds inputs of every part, of every second where it holds half as many
    const each = parts / (8 / bits)
    const byte = entry(plane, part % each === 0 ? k : k.add(depth.mul(part % each)))
    const shift = Math.floor(part / each) * bits
    const shifted = shift === 0 ? byte : byte.shr(shift)
    const own = shift + bits === 8 ? shifted : shifted.and(mask)
    return bit === 0 ? own : own.shl(bit)
  })
  return values.reduce((sum, value) => sum.add(value))
}

/** Scale and offset of a tile's groups. */
function factorsAt(format: BlockFormat, place: TilePlace): Pick<WeightTerms, 'scale' | 'offset'> {
  const { entry, depth, parts, at } = place
  const { elements, group, offset } = format
  const [perGroup, perBlock, perPart] = [group, elements, parts].map(Math.log2) as [number, number, number]
  const whole = inRow(place, at)
  const [index, block] = [whole.shr(perGroup), whole.shr(perBlock)]
  // entries that follow those of all groups, or blocks
  const groups = () => depth.shr(perGroup - perPart)
  const blocks = () => depth.shr(perBlock - perPart)
  const factor = (plane: PlaneName, at: Value) => entry(plane, at).cast('f32')
  if (!format.scalePlaces) {
    const scale = factor('scales', index)
    if (offset?.kind === 'sum') return { scale, offset: factor('scales', index.add(groups())) }
    return { scale, offset: offset ? scale.mul(factor('zeros', index)) : null }
  }
  const packed = entry('scales', index)
  const shared = sharesByte(format)
  const scale = entry('supers', block).mul((shared ? packed.and(15) : packed).cast('f32'))
  if (offset?.kind !== 'minimum') return { scale, offset: null }
  const minimum = shared ? packed.shr(4) : entry('scales', index.add(groups()))
  return { scale, offset: entry('supers', block.add(blocks())).mul(minimum.cast('f32')) }
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
