import { causal, slidingWindow } from '../../src/attention/masks/index.ts'
import type { Device } from '../../src/device/index.ts'
import { type CaseHooks, caseInputs, checkCase, runCase } from './attention-case.ts'
import { type GpuRow, measured, round } from './gpu-row.ts'
import type { GpuSizes } from './gpu-sizes.ts'
import { interleavedTimes } from './interleaved-times.ts'

/** A sliding window beside causal attention; its share is of the causal time times the ratio of the pairs that they allow. */
export async function windowRow(device: Device, size: GpuSizes['window']): Promise<GpuRow[]> {
  const { batch, numHeads, tokens, headDim, window } = size
  const shape = { batch, queries: tokens, keys: tokens, numHeads, numKvHeads: numHeads, headDim, dtype: 'f16' } as const
  const inputs = caseInputs(device, shape)
  const whole: CaseHooks = { maskMod: causal, visible: (q) => [0, q + 1] }
  const slid: CaseHooks = {
    maskMod: causal.and(slidingWindow(window)),
    visible: (q) => [Math.max(0, q - window), q + 1],
  }
  const errors = [await checkCase(device, inputs, whole), await checkCase(device, inputs, slid)]
  const [wholeTimes, slidTimes] = await interleavedTimes(
    device,
    [whole, slid].map((hooks) => () => runCase(device, inputs, hooks)),
  )
  inputs.dispose()
  const wholePairs = (tokens * (tokens + 1)) / 2
  const slidPairs = wholePairs - ((tokens - window - 1) * (tokens - window)) / 2
  const name = `f16 B${batch} H${numHeads} T${tokens} D${headDim} causal`
  const operations = (pairs: number) => 4 * batch * numHeads * headDim * pairs
  const value = round(slidTimes!.medianMs / (wholeTimes!.medianMs * (slidPairs / wholePairs)))
  return [
    {
      case: name,
      system: 'fovea',
      unit: 'TFLOP/s',
      ...measured(wholeTimes!, operations(wholePairs), 1e12),
      relativeError: round(errors[0]!),
    },
    {
      case: `${name} window ${window}`,
      system: 'fovea',
      unit: 'TFLOP/s',
      ...measured(slidTimes!, operations(slidPairs), 1e12),
      relativeError: round(errors[1]!),
      share: { value, of: 'its share of the causal time' },
    },
  ]
}
