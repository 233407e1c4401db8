import { describe, expect, it } from 'vitest'
import { traceScoreGradient } from '../attention/backward/score-gradient.ts'
import { traceNormalizer } from '../attention/backward/weight-gradient.ts'
import type { Position, ScoreMod } from '../attention/hooks.ts'
import { softmax } from '../attention/normalizers/softmax.ts'
import { keyGradientProgram } from '../attention/softmax/backward/key-gradient-program.ts'
import { queryGradientProgram } from '../attention/softmax/backward/query-gradient-program.ts'
import { flashProgram } from '../attention/softmax/flash-program.ts'
import type { StorageDType } from '../tile/index.ts'
import { lowerProgram } from '../wgsl/lower-program.ts'
import type { WebgpuTier } from './device-info.ts'
import { tiling } from './tuning.ts'

const algorithms = ['flash', 'query-gradient', 'key-gradient'] as const

/** Does an algorithm with the tuned tiles fit a device with this much workgroup memory? */
function lowered(
  algorithm: (typeof algorithms)[number],
  tier: WebgpuTier,
  bytes: number,
  dtype: StorageDType,
  width: number,
) {
  const limits = { maxComputeWorkgroupStorageSize: bytes }
  const tiles = tiling({ kind: 'webgpu', info: { tier, limits } }, algorithm, {
    headDim: width,
    valueDim: width,
    dtype,
  })
  const scoreMod: ScoreMod = ({ score, q, k }) => score.add(k.sub(q))
  const spec = {
    ...tiles,
    dtype,
    headDim: width,
    valueDim: width,
    groupSize: 1,
    alignment: 1,
    packed: true,
    normalizer: softmax,
    scoreMod,
    maskMod: ({ q, k }: Position) => q.ge(k),
  }
  const gradients = {
    gradient: traceNormalizer('test', softmax, { sink: true, dLse: true }),
    scoreGradient: traceScoreGradient('test', scoreMod),
  }
  const program = {
    flash: () => flashProgram({ ...spec, sinks: true }),
    'query-gradient': () => queryGradientProgram({ ...spec, ...gradients }),
    'key-gradient': () => keyGradientProgram({ ...spec, ...gradients, outputs: 'separate' }),
  }[algorithm]()
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
    for (const algorithm of algorithms)
      for (const bytes of [16384, 32768])
        expect(lowered(algorithm, tier, bytes, dtype, width).workgroupBytes, algorithm).toBeLessThanOrEqual(bytes)
  })
})
