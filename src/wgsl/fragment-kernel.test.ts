import { beforeAll, describe, expect, it } from 'vitest'
import { gradientTrials } from '../../test/wgsl/gradient-trials.ts'
import { matrixTrials } from '../../test/wgsl/matrix-trials.ts'
import { openNullDevice, shaderErrors } from '../../test/wgsl/null-device.ts'
import { softmax } from '../attention/normalizers/index.ts'
import { flashProgram } from '../attention/softmax/flash-program.ts'
import type { WgslCapabilities } from './capabilities.ts'
import { isUnsupported } from './fragment-config.ts'
import { lowerFragments } from './fragment-kernel.ts'
import { lowerProgram } from './lower-program.ts'

// Dawn's null backend compiles WGSL with subgroup matrices and runs nothing: enough to know that every kernel is valid.
// What they compute is checked on a GPU that has them, by `node bench/conformance-matrices.ts`.

const nvidia: WgslCapabilities = {
  tier: 3,
  maxWorkgroupBytes: 49_152,
  maxInvocations: 1024,
  maxStorageBuffers: 16,
  subgroupMinSize: 32,
  subgroupMaxSize: 32,
  subgroupMatrixConfigs: [
    { componentType: 'f16', resultComponentType: 'f16', M: 16, N: 16, K: 16 },
    { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 8, K: 16 },
    { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 },
  ],
  subgroupsInStep: true,
}
const withBarriers: WgslCapabilities = { ...nvidia, subgroupsInStep: false }
const metal: WgslCapabilities = {
  ...withBarriers,
  maxWorkgroupBytes: 32_768,
  subgroupMatrixConfigs: [{ componentType: 'f16', resultComponentType: 'f32', M: 8, N: 8, K: 8 }],
}
const trials = [...matrixTrials(), ...gradientTrials()]

let device: GPUDevice
beforeAll(async () => {
  device = await openNullDevice()
})

describe('16×16×16 matrices, subgroups in step', () => {
  it.each(trials)('$name', async ({ program }) => {
    const kernel = lowerFragments(program, nvidia)
    if (isUnsupported(kernel)) throw new Error(kernel.unsupported)
    expect(kernel.tier).toBe(3)
    expect(await shaderErrors(device, kernel.code)).toEqual([])
  })
})

describe.each([
  ['16×16×16 matrices, barriers', withBarriers],
  ['8×8×8 matrices', metal],
] as const)('%s', (_, capabilities) => {
  it.each(trials)('$name', async ({ program }) => {
    const kernel = lowerFragments(program, capabilities)
    if (isUnsupported(kernel)) {
      expect(kernel.unsupported).toMatch(/subgroups in a workgroup|workgroup memory|dealt to lanes|no multiple/)
      return
    }
    expect(await shaderErrors(device, kernel.code)).toEqual([])
  })

  it('takes attention and matrix products', () => {
    const taken = trials.filter(({ program }) => !isUnsupported(lowerFragments(program, capabilities)))
    expect(taken.map(({ name }) => name)).toEqual(expect.arrayContaining(['flash, causal', 'matmul', 'matmul, ragged']))
  })
})

describe('what it does not take', () => {
  const spec = {
    headDim: 64,
    valueDim: 64,
    groupSize: 1,
    tileQ: 64,
    tileK: 32,
    padTo: 16,
    alignment: 8,
    packed: false,
    sinks: false,
    normalizer: softmax,
    scoreMod: null,
    maskMod: null,
  } as const

  it.each([
    ['bf16', flashProgram({ ...spec, dtype: 'bf16' }), nvidia, 'bf16'],
    ['f32', flashProgram({ ...spec, dtype: 'f32' }), nvidia, 'f32 operands'],
    [
      'rows that are no multiple',
      flashProgram({ ...spec, dtype: 'f16', tileQ: 24 }),
      nvidia,
      'no multiple of 16×16×16',
    ],
    ['too little memory', flashProgram({ ...spec, dtype: 'f16' }), { ...nvidia, maxWorkgroupBytes: 8192 }, '8192'],
    [
      'no f32 results',
      flashProgram({ ...spec, dtype: 'f16' }),
      { ...nvidia, subgroupMatrixConfigs: [] },
      'f32 results',
    ],
    ['subgroups of any size', flashProgram({ ...spec, dtype: 'f16' }), { ...nvidia, subgroupMinSize: 8 }, '8 to 32'],
  ] as const)('%s: says why, and tier 2 takes it', (_, program, capabilities, reason) => {
    const kernel = lowerFragments(program, capabilities)
    expect(isUnsupported(kernel) && kernel.unsupported).toContain(reason)
    const lower = lowerProgram(program, { ...capabilities, maxWorkgroupBytes: 49_152 })
    if (capabilities.maxWorkgroupBytes === 49_152) {
      expect(lower.tier).toBe(2)
      expect(lower.notes.join()).toContain(reason)
    }
  })
})
