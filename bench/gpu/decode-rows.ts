import type { Device } from '../../src/device/index.ts'
import { type CaseHooks, caseInputs, checkCase, runCase } from './attention-case.ts'
import { copyBandwidth } from './copy-bandwidth.ts'
import { type GpuRow, measured, round } from './gpu-row.ts'
import type { GpuSizes } from './gpu-sizes.ts'
import { interleavedTimes } from './interleaved-times.ts'

/** One query over a long cache, beside what the device copies; counted are the bytes of keys and values, read once. */
export async function decodeRows(device: Device, gpu: GPUDevice, size: GpuSizes['decode']): Promise<GpuRow[]> {
  const { keys, numHeads, numKvHeads, headDim, copyBytes } = size
  const copied = await copyBandwidth(device, gpu, copyBytes)
  const inputs = caseInputs(device, { batch: 1, queries: 1, keys, numHeads, numKvHeads, headDim, dtype: 'f16' })
  const hooks: CaseHooks = { visible: () => [0, keys] }
  const error = await checkCase(device, inputs, hooks, Math.min(4, numHeads))
  const [times] = await interleavedTimes(device, [() => runCase(device, inputs, hooks)])
  inputs.dispose()
  const bytes = 2 * keys * numKvHeads * headDim * 2
  const done = measured(times!, bytes, 1e9)
  const megabytes = Math.round(copyBytes / 2 ** 20)
  const best = Math.max(copied.kernel, copied.buffer)
  return [
    { case: `copy ${megabytes} MiB, kernel`, system: 'fovea', unit: 'GB/s', rate: round(copied.kernel) },
    { case: `copy ${megabytes} MiB, buffer copy`, system: 'WebGPU', unit: 'GB/s', rate: round(copied.buffer) },
    {
      case: `f16 B1 H${numHeads}/${numKvHeads} T1 S${keys} D${headDim} decode`,
      system: 'fovea',
      unit: 'GB/s',
      ...done,
      relativeError: round(error),
      share: { value: round((done.rate ?? 0) / best), of: 'the copy bandwidth' },
    },
  ]
}
