// Runs in the page: recorded kernels, on every way that a browser has of running them.
import type { DeviceKind } from '../../src/device/index.ts'
import { openDevice } from '../../src/device/index.ts'
import { colRange, defineProgram, load, store } from '../../src/tile/index.ts'

/** Adds one `kernels · runs` times by a recording, with a write between runs half way. */
export async function countByRecording(
  kind: DeviceKind,
  { isolated, kernels, runs }: { isolated: boolean; kernels: number; runs: number },
): Promise<{ shared: boolean; values: readonly number[] }> {
  const home = globalThis as { SharedArrayBuffer?: unknown }
  const sharedMemory = home.SharedArrayBuffer
  // what a page that is not cross-origin isolated lacks
  if (!isolated) delete home.SharedArrayBuffer
  const device = await openDevice(kind)
  home.SharedArrayBuffer = sharedMemory
  const program = defineProgram('add-one', (p) => {
    const at = colRange(p.programId(0).mul(16), 16)
    p.emit(store(p.output('y', 'f32', [null]), [at], load(p.input('x', 'f32', [null]), [at]).add(1)))
  })
  const [x, y] = [device.zeros([50]), device.zeros([50])]
  const recording = device.record(() => {
    for (let i = 0; i < kernels; i++)
      device.run({ program, grid: [4, 1, 1], scalars: {} }, i % 2 ? { x: y, y: x } : { x, y })
  })
  await recording.prepare()
  for (let i = 0; i < runs; i++) {
    if (i === runs / 2) x.write(new Float32Array(50))
    recording.run()
  }
  const values = [...(await (kernels % 2 ? y : x).read())]
  const shared = device.info.features.includes('shared-memory')
  device.dispose()
  return { shared, values }
}
