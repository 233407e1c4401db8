import { expect, it } from 'vitest'
import { relaxedMaddModule } from './setup/relaxed-madd-module.ts'

it('finds a WebGPU adapter: SwiftShader or a real GPU', async () => {
  const { create } = await import('webgpu')
  const owner = globalThis as { gpuOwner?: GPU }
  // Dawn aborts the process when this object is collected while anything made from it lives
  owner.gpuOwner ??= create(['enable-dawn-features=allow_unsafe_apis'])
  const adapter = await owner.gpuOwner.requestAdapter()
  expect(adapter, 'no WebGPU adapter: is chromium installed, and VK_ICD_FILENAMES right?').not.toBeNull()
  console.log(`adapter: ${adapter?.info.vendor} ${adapter?.info.architecture} ${adapter?.info.description}`)
  expect(adapter?.info.description).not.toBe('')
  const device = await adapter?.requestDevice()
  expect(device?.limits.maxComputeInvocationsPerWorkgroup).toBeGreaterThanOrEqual(256)
})

it('has relaxed SIMD in the test processes', () => {
  expect(WebAssembly.validate(relaxedMaddModule)).toBe(true)
})
