import { beforeAll, describe, expect, it } from 'vitest'
import { dotTrials } from '../../test/wgsl/dot-trials.ts'
import { elementTrials } from '../../test/wgsl/element-trials.ts'
import { compile, type Gpu, lowerFor, openGpu } from '../../test/wgsl/kernel-runner.ts'
import { storageTrials } from '../../test/wgsl/storage-trials.ts'

// SwiftShader has no f16; Dawn's null backend compiles it and runs nothing
let gpu: Gpu
beforeAll(async () => {
  gpu = await openGpu(['backend=null', 'enable-dawn-features=allow_unsafe_apis'])
})

describe('tier 2 compiles', () => {
  it.each([...storageTrials(), ...elementTrials()])('$name', async ({ program, tuning }) => {
    expect(gpu.device.features.has('shader-f16')).toBe(true)
    const kernel = lowerFor(gpu, program, 2, tuning)
    expect(kernel.tier).toBe(2)
    await compile(gpu.device, kernel)
    for (const { param } of kernel.bindings)
      if (param.dtype === 'f16') expect(kernel.code).toMatch(new RegExp(`${param.name}_data: array<(vec4<)?f16`))
  })
  it.each(['own', 'both'] as const)('dots of staged halves (%s)', async (stageHalves) => {
    for (const { program } of dotTrials().slice(-6))
      await compile(gpu.device, lowerFor(gpu, program, 2, { stageHalves }))
  })
})
