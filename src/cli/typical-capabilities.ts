import type { Tier, WgslCapabilities } from '../wgsl/capabilities.ts'

/** What adapters of desktops and phones allow today; the least that WebGPU promises is half the workgroup memory. */
const common: WgslCapabilities = {
  tier: 0,
  maxWorkgroupBytes: 32_768,
  maxInvocations: 256,
  maxStorageBuffers: 8,
  subgroupMinSize: 4,
  subgroupMaxSize: 128,
  subgroupMatrixConfigs: [],
}

/** An adapter of each tier, for printing without one. */
export const typicalCapabilities: Readonly<Record<Tier, WgslCapabilities>> = {
  0: common,
  1: { ...common, tier: 1 },
  2: { ...common, tier: 2 },
  // matrix units are rare enough to be taken from one card: an NVIDIA H200
  3: {
    ...common,
    tier: 3,
    maxWorkgroupBytes: 49_152,
    maxInvocations: 1024,
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    subgroupMatrixConfigs: [{ componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 }],
    subgroupsInStep: true,
  },
}
