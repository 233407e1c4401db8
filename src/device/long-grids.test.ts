import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { colRange, defineProgram, type Kernel, load, store } from '../tile/index.ts'
import type { Device } from './device.ts'

// WebGPU takes 65,535 workgroups along an axis of a grid; a kernel may count more.
const numbered = (grid: Kernel['grid']): Kernel => ({
  program: defineProgram('numbered', (p) => {
    const [gridX, gridY] = [p.scalar('gridX', 'i32'), p.scalar('gridY', 'i32')]
    const given = p.input('given', 'i32', [null])
    const out = p.output('out', 'i32', [null, 4])
    const [x, y, z] = [p.programId(0), p.programId(1), p.programId(2)]
    const at = z.mul(gridY).add(y).mul(gridX).add(x)
    const columns = colRange(0, 4)
    p.emit(store(out, [at, columns], columns.add(load(given, [columns])).add(at)))
  }),
  grid,
  scalars: { gridX: grid[0], gridY: grid[1] },
})

// software GPUs take a second or two for each
const grids: Readonly<Record<string, readonly Kernel['grid'][]>> = {
  'wasm relaxed': [
    [70_000, 1, 1],
    [3, 66_000, 2],
  ],
  'webgpu T0': [
    [65_537, 1, 1],
    [1, 1, 70_001],
  ],
  'webgpu T1': [
    [1, 65_536, 1],
    // those of attention over 66,000 sequences or heads
    [1, 66_000, 1],
    [1, 1, 66_000],
  ],
}

describe.each(Object.keys(grids))('%s', (name) => {
  let device: Device
  beforeAll(async () => {
    device = await (devices[name] as () => Promise<Device>)()
  })
  afterAll(() => device.dispose())

  it.each(grids[name] as readonly Kernel['grid'][])(
    'a grid of %i × %i × %i runs every program once',
    async (...grid) => {
      const programs = grid[0] * grid[1] * grid[2]
      const given = device.tensor(Int32Array.from([1, 2, 3, 4]), [4])
      const expected = (i: number) => 2 * (i % 4) + 1 + Math.floor(i / 4)
      const kernel = numbered(grid)
      const [out, again] = [device.zeros([programs, 4], 'i32'), device.zeros([programs, 4], 'i32')]
      await device.prepare(kernel)
      device.run(kernel, { given, out })
      // a recording keeps its pipelines, and kernels of both forms
      const recording = device.record(() => {
        device.run(numbered([1, 1, 1]), { given, out: again })
        device.run(kernel, { given, out: again })
      })
      await recording.prepare()
      recording.run()
      for (const tensor of [out, again]) {
        const found = (await tensor.read()) as Int32Array
        expect(found.every((value, i) => value === expected(i))).toBe(true)
        tensor.dispose()
      }
      recording.dispose()
      given.dispose()
    },
  )
})
