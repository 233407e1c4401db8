import type * as lazy from './load-backend.ts'
import { openWasmBackend } from './wasm-backend.ts'
import { openGpu } from './webgpu-adapter.ts'
import { WebgpuBackend } from './webgpu-backend.ts'

// not by import(): a bundle stays one file, and the formats of workers in which bundlers allow no other take it, too

export const openWebgpu: typeof lazy.openWebgpu = async (where, options, realOnly) =>
  new WebgpuBackend(await openGpu(where, options, realOnly))

export const openWasm: typeof lazy.openWasm = openWasmBackend
