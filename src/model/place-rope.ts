import type { Device, Tensor } from '../device/device.ts'
import { type RopeLayout, ropeTableBytes, ropeTables } from '../nn/rope-tables.ts'
import type { RopeSpec } from './decoder-spec.ts'

/** Rotary tables on a device. */
export interface PlacedRope {
  readonly tables: RopeLayout & { readonly table: Tensor }
  readonly interleaved: boolean
  dispose(): void
}

/** The tables of positions below `maxPositions`. Throws what `ropeTables` and `device.tensor` throw. */
export function placeRope(device: Device, spec: RopeSpec, maxPositions: number): PlacedRope {
  const { interleaved, ...frequencies } = spec
  const { data, ...layout } = ropeTables(frequencies, maxPositions)
  const table = device.tensor(data, [layout.rows, 2 * layout.pairs])
  return { tables: { ...layout, table }, interleaved, dispose: () => table.dispose() }
}

/** Bytes of all tables that the layers of a model need, each kind once. */
export function ropeBytes(specs: readonly (RopeSpec | null)[], maxPositions: number): number {
  const kinds = new Map(specs.flatMap((spec) => (spec ? [[ropeKey(spec), spec.rotaryDim] as const] : [])))
  return [...kinds.values()].reduce((sum, rotaryDim) => sum + ropeTableBytes(rotaryDim, maxPositions), 0)
}

/** Equal for layers that turn alike. */
export function ropeKey({ rotaryDim, interleaved, attentionFactor, inverseFrequencies }: RopeSpec): string {
  return [rotaryDim, interleaved, attentionFactor, ...inverseFrequencies].join(' ')
}
