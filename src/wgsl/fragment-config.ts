import type { WgslCapabilities } from './capabilities.ts'

/** The matrices that a kernel is built from: f16 operands [M, K] and [K, N], f32 results [M, N], one subgroup each. */
export interface FragmentConfig {
  readonly M: number
  readonly N: number
  readonly K: number
  readonly subgroupSize: number
  /** invocations that hold one row of a result between products */
  readonly lanesPerRow: number
}

/** A valid program that this tier cannot take, and why; the device then uses a lower tier and says so. */
export interface Unsupported {
  readonly unsupported: string
}

export function isUnsupported(x: object): x is Unsupported {
  return 'unsupported' in x
}

/** The configuration to use: the largest with f16 operands and f32 results. */
export function fragmentConfig(capabilities: WgslCapabilities): FragmentConfig | Unsupported {
  const { subgroupMinSize, subgroupMaxSize } = capabilities
  if (subgroupMinSize !== subgroupMaxSize)
    return {
      unsupported: `subgroups of ${subgroupMinSize} to ${subgroupMaxSize} invocations: rows need a fixed number of lanes`,
    }
  const usable = capabilities.subgroupMatrixConfigs
    .filter((c) => c.componentType === 'f16' && c.resultComponentType === 'f32')
    .filter((c) => subgroupMaxSize % c.M === 0 && c.N % 4 === 0)
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K)
  const best = usable[0]
  if (!best) return { unsupported: 'no subgroup matrices with f16 operands and f32 results' }
  const { M, N, K } = best
  return { M, N, K, subgroupSize: subgroupMaxSize, lanesPerRow: subgroupMaxSize / M }
}
