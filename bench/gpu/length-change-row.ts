import { causal } from '../../src/attention/masks/index.ts'
import type { Device } from '../../src/device/index.ts'
import { caseInputs, checkCase } from './attention-case.ts'
import type { GpuRow } from './gpu-row.ts'

/** Attention at several lengths, each checked: only the first may compile. Counted are those compiled later. */
export async function lengthChangeRow(
  device: Device,
  compiled: () => number,
  lengths: readonly number[],
): Promise<GpuRow[]> {
  const counts: number[] = []
  for (const tokens of lengths) {
    const before = compiled()
    const shape = {
      batch: 1,
      queries: tokens,
      keys: tokens,
      numHeads: 4,
      numKvHeads: 2,
      headDim: 96,
      dtype: 'f16',
    } as const
    const inputs = caseInputs(device, shape)
    await checkCase(device, inputs, { maskMod: causal, visible: (q) => [0, q + 1] }, 8)
    inputs.dispose()
    counts.push(compiled() - before)
  }
  const later = counts.slice(1).reduce((sum, count) => sum + count, 0)
  const name = `pipelines compiled at T ${lengths.join(', ')}: ${counts.join(', ')}`
  const base = { case: name, system: 'fovea', unit: 'pipelines' } as const
  if (counts[0] === 0) return [{ ...base, error: 'nothing was compiled at the first length: the count is broken' }]
  return [later > 0 ? { ...base, error: `${later} pipelines compiled for a changed length` } : { ...base, rate: 0 }]
}
