import { beforeAll, describe, expect, it } from 'vitest'
import { openNullDevice, shaderErrors } from '../../test/wgsl/null-device.ts'
import { typicalCapabilities } from '../cli/typical-capabilities.ts'
import type { Program } from '../ir/index.ts'
import { contiguousStrides, type StorageDType } from '../tile/index.ts'
import { lowerProgram } from '../wgsl/lower-program.ts'
import { silu } from './activations.ts'
import type { WeightDType } from './weight-data.ts'
import type { ExpertRows } from './weights/expert-rows.ts'
import { linearKernel } from './weights/linear-kernel.ts'
import { placedFormats } from './weights/placed-format.ts'
import { ProgramStore } from './weights/program-store.ts'

const spec = (shape: readonly number[], dtype: StorageDType) => ({
  dtype,
  shape,
  strides: contiguousStrides(shape),
  offset: 0,
})

/** The program that multiplies f16 activations on a device with matrix units. */
function halvesProgram(
  dtype: WeightDType,
  N: number,
  gated: boolean,
  normed = false,
  experts: ExpertRows | null = null,
): Program {
  const [K, M] = [512, 256]
  const { parts, planes } = placedFormats[dtype]
  const output = spec([N, M], 'f16')
  return linearKernel(
    {
      dtype,
      layout: 'rows',
      x: spec([N, parts, K / parts], 'f16'),
      planes: Object.fromEntries(
        planes.map((plane) => [plane.name, spec([gated ? 2 * M : M, plane.length(K)], plane.dtype)]),
      ),
      norm: normed ? spec([parts, K / parts], 'f32') : null,
      bias: spec([gated ? 2 * M : M], 'f32'),
      output,
      activation: gated ? silu : null,
      combine: null,
      gated,
      accumulate: !gated && !experts,
      experts,
    },
    { kind: 'webgpu', info: { tier: 3 } },
    new ProgramStore(),
    {},
  ).program
}

// no GPU with f16 is here: the null backend says whether every kernel is valid, recorded runs on one whether it is right
describe('linear layers over f16 activations', () => {
  let device: GPUDevice
  beforeAll(async () => {
    device = await openNullDevice()
  })
  it.each<[WeightDType, boolean]>([
    ['f16', false],
    ['f16', true],
    ['bf16', false],
    ['q8_0', true],
    ['q4_0', false],
    ['q4_k', true],
    ['q6_k', false],
    ['q5_0', true],
    ['q3_k', false],
    ['q5_k', true],
    ['iq4_xs', false],
    ['mxfp4', true],
  ])('of %s, gated: %s, reach matrix units with many rows and are valid', async (dtype, gated) => {
    const kernel = lowerProgram(halvesProgram(dtype, 300, gated), typicalCapabilities[3])
    expect([kernel.tier, kernel.code.includes('subgroupMatrixMultiplyAccumulate')]).toEqual([3, true])
    expect(await shaderErrors(device, kernel.code)).toEqual([])
  })
  it.each<[WeightDType, number, boolean]>([
    ['f16', 1, true],
    ['f16', 8, false],
    ['f16', 8, true],
    ['q8_0', 1, false],
    ['q6_k', 3, true],
    ['q2_k', 1, false],
    ['q5_1', 1, false],
    ['iq4_nl', 8, true],
  ])('of %s are valid with %d rows, normalised: %s', async (dtype, rows, normed) => {
    const kernel = lowerProgram(halvesProgram(dtype, rows, false, normed), typicalCapabilities[3])
    expect(kernel.tier).toBe(2)
    expect(await shaderErrors(device, kernel.code)).toEqual([])
  })
  it.each<[WeightDType, number, boolean]>([
    ['f16', 16, true],
    ['f16', 32, false],
    ['q4_0', 16, false],
    ['q4_0', 32, true],
    ['q4_0', 64, true],
    ['f16', 128, true],
    ['q8_0', 128, false],
    ['q6_k', 32, true],
    ['q6_k', 64, true],
    ['q6_k', 128, true],
    ['q3_k', 128, false],
    ['mxfp4', 64, true],
  ])('of experts of %s reach matrix units in tiles of %d rows, gated: %s', async (dtype, tileM, gated) => {
    const experts = { kind: 'tiles', perToken: 8, xByToken: gated, weighed: false, tileM } as const
    const kernel = lowerProgram(halvesProgram(dtype, 300, gated, false, experts), typicalCapabilities[3])
    expect([kernel.tier, kernel.code.includes('subgroupMatrixMultiplyAccumulate')]).toEqual([3, true])
    expect(await shaderErrors(device, kernel.code)).toEqual([])
  })
  it.each<[WeightDType, ExpertRows['kind'], boolean]>([
    ['f16', 'pairs', true],
    ['q6_k', 'pairs', false],
    ['q4_0', 'slots', false],
    ['f16', 'slots', false],
  ])('of experts of %s are valid for %s, gated: %s', async (dtype, kind, gated) => {
    const experts = { kind, perToken: 8, xByToken: true, weighed: kind === 'slots', tileM: 1 }
    const kernel = lowerProgram(halvesProgram(dtype, 8, gated, false, experts), typicalCapabilities[3])
    expect(await shaderErrors(device, kernel.code)).toEqual([])
  })
})
