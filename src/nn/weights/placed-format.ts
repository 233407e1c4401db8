import type { DeviceKind } from '../../device/device-info.ts'
import { type StorageDType, storageBytes } from '../../tile/index.ts'
import type { WeightDType } from '../weight-data.ts'

/** One kind of number of a weight; a weight's plane holds it for every output feature. */
export interface PlaneFormat {
  readonly name: PlaneName
  readonly dtype: StorageDType
  /** entries for one output feature with this many inputs */
  length(inFeatures: number): number
}

export type PlaneName = 'values' | 'quants' | 'high' | 'scales' | 'supers'

/**
 * A weight in memory. Formats of less than 8 bits hold several inputs in a byte: input k of each of `parts` equal parts of the
 * row shares the byte k, so that kernels meet whole runs of one part.
 */
export interface PlacedFormat {
  readonly parts: 1 | 2 | 4
  /** neighbouring inputs that have one scale; 0: there are no scales */
  readonly group: number
  readonly planes: readonly PlaneFormat[]
}

const per = (name: PlaneName, dtype: StorageDType, inputs: number, times = 1): PlaneFormat => ({
  name,
  dtype,
  length: (inFeatures) => (inFeatures / inputs) * times,
})
const plain = (dtype: StorageDType): PlacedFormat => ({ parts: 1, group: 0, planes: [per('values', dtype, 1)] })

/** How each dtype lies in memory: as many bits as in the file. */
export const placedFormats: Readonly<Record<WeightDType, PlacedFormat>> = {
  f32: plain('f32'),
  f16: plain('f16'),
  bf16: plain('bf16'),
  q8_0: { parts: 1, group: 32, planes: [per('quants', 'i8', 1), per('scales', 'f16', 32)] },
  q4_0: { parts: 2, group: 32, planes: [per('quants', 'u8', 2), per('scales', 'f16', 32)] },
  // scales, then minima; their factors, likewise
  q4_k: {
    parts: 2,
    group: 32,
    planes: [per('quants', 'u8', 2), per('scales', 'u8', 32, 2), per('supers', 'f16', 256, 2)],
  },
  q6_k: {
    parts: 4,
    group: 16,
    planes: [per('quants', 'u8', 2), per('high', 'u8', 4), per('scales', 'i8', 16), per('supers', 'f16', 256)],
  },
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
  const { group } = placedFormats[dtype]
  // a part of Q4_0 may begin in the middle of a block
  return group > 0 && depth % group !== 0 ? group / 2 : group
}

/** Bytes of one output feature in each plane. */
export function planeBytes(dtype: WeightDType, inFeatures: number): number[] {
  return placedFormats[dtype].planes.map((plane) => plane.length(inFeatures) * storageBytes[plane.dtype])
}
