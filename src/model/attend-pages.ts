import type { PagePool } from '../attention/paged/page-pool.ts'
import { pagedAttention } from '../attention/paged/paged-attention.ts'
import type { Device } from '../device/device.ts'
import type { PlacedLayer } from './decoder-weights.ts'
import { visibilityKey } from './plan-heads.ts'
import type { AttentionCall, StepViews } from './step-views.ts'

/** One call of attention over the pages of a layer. */
export function attendPages(
  device: Device,
  { spec, sinkLogits, alibiSlopes }: PlacedLayer,
  pool: PagePool,
  step: StepViews,
  call: AttentionCall,
): void {
  const { scale, softCap } = spec.attention
  const key = visibilityKey(spec.attention)
  const visible = call.works.get(key)
  if (!visible) throw new RangeError(`no work was planned for ${key}`)
  pagedAttention(device, {
    query: call.query,
    pages: pool,
    pageTable: step.pageTable,
    work: visible.work,
    tiling: call.tiling,
    splits: call.splits,
    ...(call.states && { states: call.states }),
    scale,
    softCap,
    window: visible.window,
    sinks: visible.sinks,
    chunk: visible.chunk,
    sinkLogits,
    alibiSlopes,
    output: call.output,
  })
}
