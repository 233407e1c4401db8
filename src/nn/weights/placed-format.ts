import type { DeviceKind } from '../../device/device-info.ts'
import { type StorageDType, storageBytes } from '../../tile/index.ts'
import type { BlockFormat, FieldPlaces, NumberPlaces } from '../block-formats/block-format.ts'
import { type WeightDType, weightFormats } from '../block-formats/weight-formats.ts'

/** One kind of number of a weight; a weight's plane holds it for every output feature. */
export interface PlaneFormat {
  readonly name: PlaneName
  readonly dtype: StorageDType
  /** entries for one output feature with this many inputs */
  length(inFeatures: number): number
}

/**
 * `values`: plain floats; `quants`: their lowest bits, several inputs in a byte; `high`: the bits above; `scales` of groups, then
 * what their minima are; `zeros` of groups; `supers`: factors of blocks, then those of their minima.
 */
export type PlaneName = 'values' | 'quants' | 'high' | 'scales' | 'zeros' | 'supers'

/**
 * A weight in memory. Formats of less than 8 bits hold several inputs in a byte: input k of each of `parts` equal parts of the
 * row shares the byte k, so that kernels meet whole runs of one part. Single bits lie in words of 32 neighbouring inputs.
 */
export interface PlacedFormat {
  readonly parts: 1 | 2 | 4
  /** neighbouring inputs that have one scale; 0: there are no scales */
  readonly group: number
  readonly planes: readonly PlaneFormat[]
}

/** How each dtype lies in memory: about as many bits as in the file. */
export const placedFormats = Object.fromEntries(
  Object.entries(weightFormats).map(([dtype, format]) => [
    dtype,
    format.kind === 'plain' ? { parts: 1, group: 0, planes: [per('values', format.dtype, 1)] } : placedBlocks(format),
  ]),
) as Readonly<Record<WeightDType, PlacedFormat>>

function placedBlocks(format: BlockFormat): PlacedFormat {
  const { elements, group, quantPlaces, scalePlaces, offset } = format
  const [low, high] = quantPlaces.fields as readonly [FieldPlaces, FieldPlaces?]
  const planes = [per('quants', quantPlaces.signed ? 'i8' : 'u8', 8 / low.bits)]
  if (high) planes.push(high.bits === 1 ? per('high', 'i32', 32) : per('high', 'u8', 8 / high.bits))
  const factor = ({ f16: 'f16', f32: 'f32', e8m0: 'bf16' } as const)[format.factor.as]
  if (scalePlaces) {
    const own = offset?.kind === 'minimum' && !sharesByte(format) ? 2 : 1
    planes.push(per('scales', isSigned(scalePlaces) ? 'i8' : 'u8', group, own))
    planes.push(per('supers', factor, elements, offset?.kind === 'minimum' ? 2 : 1))
  } else planes.push(per('scales', factor, group, offset?.kind === 'sum' ? 2 : 1))
  if (offset?.kind === 'zero') planes.push(per('zeros', 'u8', group))
  const fewest = Math.min(...quantPlaces.fields.map(({ bits }) => bits).filter((bits) => bits > 1))
  return { parts: (8 / fewest) as 1 | 2 | 4, group, planes }
}

function per(name: PlaneName, dtype: StorageDType, inputs: number, times = 1): PlaneFormat {
  return { name, dtype, length: (inFeatures) => (inFeatures / inputs) * times }
}

/** Are scale and minimum of a group one byte, the minimum its high half? */
export function sharesByte({ scalePlaces, offsetPlaces }: BlockFormat): boolean {
  return scalePlaces !== null && offsetPlaces !== null && scalePlaces.bits + offsetPlaces.bits <= 8
}

function isSigned({ signed, minus }: NumberPlaces): boolean {
  return signed || minus > 0
}

/**
 * `panels`: planes [panel, entry, panelWidth], the entries of 32 neighbouring output features side by side: a right operand
 * of a matrix product that needs no packing, read from end to end. `rows`: planes [output feature, entry], which many
 * invocations read side by side.
 */
export type WeightLayout = 'panels' | 'rows'

/** output features in a panel */
export const panelWidth = 32
/** rows of x up to which weights in rows are multiplied in registers, and which can be normalised on the way */
export const fewRows = 8
/** output features of a plane of rows are filled up to a multiple of this, so that WebGPU can write it in parts */
export const rowMultiple = 4

export function layoutOf(kind: DeviceKind): WeightLayout {
  return kind === 'webgpu' ? 'rows' : 'panels'
}

/** Output features of parts with padding: each part of a weight in panels begins in a panel of its own. */
export function paddedFeatures(layout: WeightLayout, partRows: readonly number[]): number {
  const up = (n: number, multiple: number) => Math.ceil(n / multiple) * multiple
  return layout === 'panels'
    ? partRows.reduce((sum, rows) => sum + up(rows, panelWidth), 0)
    : up(
        partRows.reduce((sum, rows) => sum + rows, 0),
        rowMultiple,
      )
}

/** Neighbouring inputs, from a multiple of it on within a part of `depth` inputs, that have one scale; 0: there are no scales. */
export function scaleRun(dtype: WeightDType, depth: number): number {
  let run = placedFormats[dtype].group
  // a part may begin in the middle of a group
  while (run > 1 && depth % run !== 0) run /= 2
  return run
}

/** Bytes of one output feature in each plane. */
export function planeBytes(dtype: WeightDType, inFeatures: number): number[] {
  return placedFormats[dtype].planes.map((plane) => plane.length(inFeatures) * storageBytes[plane.dtype])
}
