import { expect, it } from 'vitest'

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

it('compiles relaxed SIMD', () => {
  const relaxedMadd = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32,
    2, 253, 133, 2, 11,
  ])
  expect(WebAssembly.validate(relaxedMadd)).toBe(true)
})
