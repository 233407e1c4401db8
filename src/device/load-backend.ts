import type { Backend } from './backend.ts'
import type { InterpretOptions, WasmOptions, WebgpuOptions } from './device-options.ts'
import type { WasmBackend } from './wasm-backend.ts'
import type { WebgpuBackend } from './webgpu-backend.ts'

/** Opens a GPU. Its back end is loaded when there is one: a page that has none does not fetch it. */
export async function openWebgpu(where: string, options: WebgpuOptions, realOnly: boolean): Promise<WebgpuBackend> {
  const { openGpu } = await import('./webgpu-adapter.ts')
  const opened = await openGpu(where, options, realOnly)
  const { WebgpuBackend } = await import('./webgpu-backend.ts')
  return new WebgpuBackend(opened)
}

/** Opens WebAssembly workers, loaded when they are asked for. */
export async function openWasm(where: string, options: WasmOptions): Promise<WasmBackend> {
  const { openWasmBackend } = await import('./wasm-backend.ts')
  return openWasmBackend(where, options)
}

/** Makes an interpreter, loaded when it is asked for. */
export async function openInterpreter(options: InterpretOptions): Promise<Backend<ArrayBuffer>> {
  const { interpretBackend } = await import('./interpret-backend.ts')
  return interpretBackend(options)
}
