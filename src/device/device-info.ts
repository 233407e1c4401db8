/** Which back end a device runs on. */
export type DeviceKind = 'webgpu' | 'wasm' | 'interpret'

/** WebGPU capabilities in steps: 0 plain, 1 + subgroups, 2 + shader-f16, 3 + subgroup matrices (tensor cores). */
export type WebgpuTier = 0 | 1 | 2 | 3

/** What a device is, for people and for choosing tile sizes. */
export interface DeviceInfo {
  /** the adapter's description, or the back end's */
  readonly name: string
  /** WebGPU: the tier that kernels are written for */
  readonly tier: WebgpuTier | null
  /** WebAssembly: threads that share the work, the caller's included */
  readonly threads: number | null
  /** WebAssembly: which instructions kernels use */
  readonly simd: 'simd' | 'relaxed-simd' | null
  /** names and values as the platform gives them, sizes in bytes: WebGPU's own (maxStorageBufferBindingSize bounds a tensor), `maxBytes` of WebAssembly; one that is missing is no limit */
  readonly limits: Readonly<Record<string, number>>
  readonly features: readonly string[]
  /** what keeps the device from more than it does, such as why it has one thread; mostly empty */
  readonly notes: readonly string[]
}

/** The info as lines of text, as `fovea devices` prints it. */
export function describeDevice(kind: DeviceKind, info: DeviceInfo): string {
  const lines = [`${kind}: ${info.name}`]
  if (info.tier !== null) lines.push(`  tier      T${info.tier} (${tierMeaning[info.tier]})`)
  if (info.threads !== null) lines.push(`  threads   ${info.threads}`)
  if (info.simd !== null) lines.push(`  simd      ${info.simd}`)
  if (info.features.length > 0) lines.push(`  features  ${info.features.join(', ')}`)
  for (const note of info.notes) lines.push(`  note      ${note}`)
  const width = Math.max(0, ...Object.keys(info.limits).map((name) => name.length))
  for (const [name, value] of Object.entries(info.limits)) lines.push(`  ${name.padEnd(width)}  ${value}`)
  return lines.join('\n')
}

const tierMeaning: Readonly<Record<WebgpuTier, string>> = {
  0: 'f32, workgroup memory',
  1: 'f32, subgroups',
  2: 'f16, subgroups',
  3: 'f16, subgroup matrices',
}
