/** One configuration of subgroup matrices, as `adapter.info.subgroupMatrixConfigs` lists them. */
export interface SubgroupMatrixConfig {
  readonly componentType: string
  readonly resultComponentType: string
  readonly M: number
  readonly N: number
  readonly K: number
}

/** 0: f32 and workgroup memory; 1: + subgroup operations; 2: + shader-f16; 3: + subgroup matrices. */
export type Tier = 0 | 1 | 2 | 3

/** What the lowering may use of an adapter. */
export interface WgslCapabilities {
  readonly tier: Tier
  readonly maxWorkgroupBytes: number
  readonly maxInvocations: number
  readonly maxStorageBuffers: number
  readonly subgroupMinSize: number
  readonly subgroupMaxSize: number
  readonly subgroupMatrixConfigs: readonly SubgroupMatrixConfig[]
  /**
   * what one invocation of a subgroup writes to workgroup memory, the others see without a barrier; WGSL does not promise it,
   * the hardware of some vendors does (NVIDIA)
   */
  readonly subgroupsInStep?: boolean
}
