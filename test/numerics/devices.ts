import { type Device, openDevice } from '../../src/device/index.ts'

/** Every way of running kernels that results are held to, by name. */
export const devices: Readonly<Record<string, () => Promise<Device>>> = {
  interpret: () => openDevice('interpret', { interpret: { precision: 'real' } }),
  'wasm plain': () => openDevice('wasm', { wasm: { relaxed: false, threads: 1 } }),
  'wasm relaxed': () => openDevice('wasm', { wasm: { relaxed: true, threads: 2 } }),
  'webgpu T0': () => openDevice('webgpu', { webgpu: { tier: 0 } }),
  'webgpu T1': () => openDevice('webgpu', { webgpu: { tier: 1 } }),
}
