import type { WebgpuTier } from './device-info.ts'

/** How `openDevice` opens each back end; everything has a default. */
export interface DeviceOptions {
  readonly webgpu?: WebgpuOptions
  readonly wasm?: WasmOptions
  readonly interpret?: InterpretOptions
}

export interface WebgpuOptions {
  /** a device of your own; it is used with the features and limits it has, and is not destroyed by `dispose` */
  readonly device?: GPUDevice
  /** an adapter of your own */
  readonly adapter?: GPUAdapter
  /** writes kernels for a lower tier than the adapter offers; a higher one throws `unsupported` */
  readonly tier?: WebgpuTier
  readonly powerPreference?: GPUPowerPreference
  /** Node: Dawn's backend, such as 'vulkan' or 'null' (compiles shaders, runs nothing) */
  readonly backend?: string
  /** Node: Dawn feature toggles by name, added to (true) or taken from (false) the ones enabled by default */
  readonly toggles?: Readonly<Record<string, boolean>>
}

export interface WasmOptions {
  /** threads that share the work, the caller's included; all processors where threads can share memory, else 1 */
  readonly threads?: number
  /** relaxed SIMD (fused multiply-add): true and false force it; by default it is used where the engine has it */
  readonly relaxed?: boolean
  /**
   * 256-bit vectors (Node with V8 13 or newer, x64): sets an experimental flag of V8 for the whole process, so off unless
   * asked for; `unsupported` elsewhere
   */
  readonly wideVectors?: boolean
  /** how far the shared memory may grow (2 GiB by default) */
  readonly maxBytes?: number
  /**
   * pages: where the file of `fovea/pool-worker` is served. Bundlers place it by themselves, esbuild aside; without it
   * workers start from a `blob:` URL, where the page's policy allows that
   */
  readonly workerUrl?: string
}

export interface InterpretOptions {
  /** `float64`: values in float64, rounded where they are stored (default); `real`: rounded to their dtype after every operation */
  readonly precision?: 'float64' | 'real'
}
