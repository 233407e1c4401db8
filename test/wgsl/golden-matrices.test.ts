import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { recordedAs, recordingDevice } from '../../src/cli/recording-device.ts'
import { typicalCapabilities } from '../../src/cli/typical-capabilities.ts'
import { lowerProgram } from '../../src/wgsl/lower-program.ts'
import { goldenGradientCase } from '../conformance/golden-gradient-case.ts'
import { attentionFaults } from '../conformance/run-attention-case.ts'
import { gradientFaults } from '../conformance/run-gradient-case.ts'
import { openNullDevice, shaderErrors } from './null-device.ts'

// Every kernel that the recorded cases run on tier 3 in f16 compiles, and attention and its gradients run on subgroup matrices.

const folder = join(import.meta.dirname, '..', 'golden', 'attention')
// the block map of documents reads their ids, which a recording device does not hold; matrix-trials.ts has such a mask
const names = readdirSync(folder).filter((name) => !name.startsWith('document'))

const onMatrices = ['flash', 'splitKv', 'flashQueryGradient', 'flashKeyGradient']

let device: GPUDevice
beforeAll(async () => {
  device = await openNullDevice()
})

describe('kernels of the recorded cases on tier 3', () => {
  it.each(names)('%s', async (name) => {
    const recorded = recordingDevice(recordedAs('webgpu', 3))
    const example = goldenGradientCase(name.replace(/\.safetensors$/, ''), readFileSync(join(folder, name)))
    // the recording device runs nothing: reading the result is refused, after every kernel was enqueued
    await expect(attentionFaults(recorded.device, example, 'f16')).rejects.toThrow('records calls')
    await expect(gradientFaults(recorded.device, example, 'f16')).rejects.toThrow('records calls')
    const programs = new Set(recorded.kernels.map(({ program }) => program))
    for (const program of programs) {
      const kernel = lowerProgram(program, { ...typicalCapabilities[3], maxStorageBuffers: 10, subgroupsInStep: true })
      expect(await shaderErrors(device, kernel.code)).toEqual([])
      if (onMatrices.includes(program.name)) expect(kernel.tier, kernel.notes.join()).toBe(3)
    }
    expect([...programs].filter(({ name }) => onMatrices.includes(name)).length).toBeGreaterThan(2)
  })
})
