import type { DeviceKind } from '../../device/device-info.ts'
import type { WeightDType } from '../weight-data.ts'
import { paddedFeatures, panelWidth, planeBytes, rowMultiple, type WeightLayout } from './placed-format.ts'

/** Output features from … to−1 of the weight, at features `at` … of a buffer. */
export interface BlockRun {
  readonly from: number
  readonly to: number
  readonly at: number
}

/** Which output features lie where; a buffer stands for one of each plane. */
export interface BlockPlan {
  readonly outFeatures: number
  /** `features`: what its planes hold, padding included */
  readonly buffers: readonly { readonly features: number; readonly runs: readonly BlockRun[] }[]
  /** what the device allocates for it */
  bytes(kind: DeviceKind, bias: boolean): number
}

/**
 * Panels: one buffer, each part in panels of its own, and one run for parts between which there is no padding. Rows: one
 * buffer, or as many as keep every plane within the bytes that the device binds, whole runs of `together` features in each.
 */
export function planBlocks(
  layout: WeightLayout,
  dtype: WeightDType,
  partRows: readonly number[],
  inFeatures: number,
  maxBindingBytes = Number.POSITIVE_INFINITY,
  together = rowMultiple,
): BlockPlan {
  const perFeature = planeBytes(dtype, inFeatures)
  const outFeatures = partRows.reduce((sum, rows) => sum + rows, 0)
  const buffers =
    layout === 'panels'
      ? [{ features: paddedFeatures(layout, partRows), runs: panelRuns(partRows) }]
      : rowBuffers(outFeatures, Math.floor(maxBindingBytes / Math.max(...perFeature)), together)
  return {
    outFeatures,
    buffers,
    bytes: (kind, bias) =>
      buffers.reduce(
        (sum, { features }) => sum + perFeature.reduce((total, bytes) => total + allocated[kind](features * bytes), 0),
        bias ? allocated[kind](4 * outFeatures) : 0,
      ),
  }
}

function panelRuns(partRows: readonly number[]): BlockRun[] {
  const runs: BlockRun[] = []
  let [from, at] = [0, 0]
  for (const rows of partRows) {
    const last = runs.at(-1)
    if (last && last.at + last.to - last.from === at) runs[runs.length - 1] = { ...last, to: from + rows }
    else runs.push({ from, to: from + rows, at })
    from += rows
    at += Math.ceil(rows / panelWidth) * panelWidth
  }
  return runs
}

function rowBuffers(outFeatures: number, most: number, together: number): { features: number; runs: BlockRun[] }[] {
  const step = Math.max(together, Math.floor(Math.min(most, outFeatures + together) / together) * together)
  const buffers: { features: number; runs: BlockRun[] }[] = []
  for (let from = 0; from < outFeatures; from += step) {
    const to = Math.min(outFeatures, from + step)
    buffers.push({ features: paddedFeatures('rows', [to - from]), runs: [{ from, to, at: 0 }] })
  }
  return buffers
}

/** how much a device takes for a tensor of so many bytes */
const allocated: Readonly<Record<DeviceKind, (bytes: number) => number>> = {
  wasm: (bytes) => Math.ceil(bytes / 64) * 64,
  interpret: (bytes) => Math.ceil(bytes / 8) * 8,
  webgpu: (bytes) => (bytes > 65536 ? Math.ceil(bytes / 4096) * 4096 : Math.max(256, 2 ** Math.ceil(Math.log2(bytes)))),
}
