import { describe, expect, it } from 'vitest'
import { softmax } from '../attention/normalizers/softmax.ts'
import { flashProgram } from '../attention/softmax/flash-program.ts'
import type { StorageDType } from '../tile/index.ts'
import { lowerProgram } from '../wgsl/lower-program.ts'
import type { WebgpuTier } from './device-info.ts'
import { tiling } from './tuning.ts'

/** Does flash attention with the tuned tiles fit a device with this much workgroup memory? */
function lowered(tier: WebgpuTier, bytes: number, dtype: StorageDType, width: number) {
  const limits = { maxComputeWorkgroupStorageSize: bytes }
  const tiles = tiling({ kind: 'webgpu', info: { tier, limits } }, 'flash', { headDim: width, valueDim: width, dtype })
  const program = flashProgram({
    ...tiles,
    dtype,
    headDim: width,
    valueDim: width,
    groupSize: 1,
    alignment: 1,
    packed: true,
    sinks: true,
    normalizer: softmax,
    scoreMod: ({ score, q, k }) => score.add(k.sub(q)),
    maskMod: ({ q, k }) => q.ge(k),
  })
  return lowerProgram(program, {
    tier,
    maxWorkgroupBytes: bytes,
    maxInvocations: 256,
    maxStorageBuffers: 8,
    subgroupMinSize: 4,
    subgroupMaxSize: 128,
    subgroupMatrixConfigs: [],
  })
}

describe('tuned tiles fit the least device that WebGPU allows', () => {
  const cases = ([0, 1, 2] as const).flatMap((tier) =>
    (['f32', 'f16', 'bf16'] as const).flatMap((dtype) =>
      [8, 40, 64, 128, 160, 256].map((width) => [tier, dtype, width] as const),
    ),
  )
  it.each(cases)('T%i %s %i', (tier, dtype, width) => {
    for (const bytes of [16384, 32768])
      expect(lowered(tier, bytes, dtype, width).workgroupBytes).toBeLessThanOrEqual(bytes)
  })
})
