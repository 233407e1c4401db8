import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { colRange, defineProgram, type Kernel, load, rowRange, store } from '../tile/index.ts'
import type { Device, Tensor } from './device.ts'
import type { DeviceKind } from './device-info.ts'
import type { DeviceOptions } from './device-options.ts'
import { openDevice } from './open-device.ts'

const devices: readonly [string, DeviceKind, DeviceOptions][] = [
  ['interpret', 'interpret', {}],
  ['wasm, two threads', 'wasm', { wasm: { threads: 2 } }],
  ['wasm, three threads', 'wasm', { wasm: { threads: 3, relaxed: false } }],
  ['wasm, one thread', 'wasm', { wasm: { threads: 1 } }],
  ['webgpu', 'webgpu', {}],
]

const unhandled: unknown[] = []
const note = (reason: unknown) => unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', note))
afterAll(async () => {
  await new Promise((resolve) => setTimeout(resolve, 50))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

const fault = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'FoveaError', code, message: expect.stringMatching(message) }) as never

/** y = x · factor + 1 over [n], 8 elements a program */
const affine = defineProgram('affine', (p) => {
  const x = p.input('x', 'f32', [null])
  const y = p.output('y', 'f32', [null])
  const at = colRange(p.programId(0).mul(8), 8)
  p.emit(store(y, [at], load(x, [at]).mul(p.scalar('factor', 'f32')).add(1)))
})
const affineOf = (length: number, factor: number): Kernel => ({
  program: affine,
  grid: [Math.ceil(length / 8), 1, 1],
  scalars: { factor },
})

/** total[r] = total'[r] + sum over the columns of x */
const sumRows: Kernel = {
  program: defineProgram('sum-rows', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const before = p.input('before', 'f32', [null])
    const total = p.output('total', 'f32', [null])
    const rows = rowRange(p.programId(0).mul(4), 4)
    p.emit(
      store(
        total,
        [rows],
        load(x, [rows, colRange(0, 64)])
          .rowSum()
          .add(load(before, [rows])),
      ),
    )
  }),
  grid: [3, 1, 1],
  scalars: {},
}

const range = (length: number, of: (i: number) => number = (i) => i) => Array.from({ length }, (_, i) => of(i))
const read = async (tensor: Tensor) => [...(await tensor.read())]

describe.each(devices)('record on %s', (_name, kind, options) => {
  let device: Device
  beforeAll(async () => {
    device = await openDevice(kind, options)
  })
  afterAll(() => device.dispose())

  it('gives what run gives, in order, and sees inputs that changed', async () => {
    const x = device.tensor(range(100), [100])
    const [y, z] = [device.zeros([100]), device.zeros([100])]
    const work = () => {
      device.run(affineOf(100, 2), { x, y })
      device.run(affineOf(100, -3), { x: y, y: z })
      device.run(affineOf(100, 0.5), { x: z, y })
    }
    const expected = (v: number) => ((v * 2 + 1) * -3 + 1) * 0.5 + 1
    const recording = device.record(work)
    expect(recording.kernels).toBe(3)
    // nothing has run
    expect(await read(z)).toEqual(range(100, () => 0))
    recording.run()
    expect(await read(y)).toEqual(range(100, expected))
    work()
    expect(await read(y)).toEqual(range(100, expected))
    x.write(range(100, (i) => 7 * i - 50))
    recording.run()
    expect(await read(y)).toEqual(range(100, (i) => expected(7 * i - 50)))
    recording.dispose()
    for (const tensor of [x, y, z]) tensor.dispose()
  })

  it('runs hundreds of times without anybody waiting, two recordings taking turns', async () => {
    const [x, y] = [device.zeros([20]), device.zeros([20])]
    const there = device.record(() => device.run(affineOf(20, 1), { x, y }))
    const back = device.record(() => {
      device.run(affineOf(20, 1), { x: y, y: x })
      device.run(affineOf(20, 1), { x, y })
      device.run(affineOf(20, 1), { x: y, y: x })
    })
    const rounds = kind === 'interpret' ? 20 : 400
    for (let round = 0; round < rounds; round++) {
      there.run()
      back.run()
    }
    expect(await read(x)).toEqual(range(20, () => 4 * rounds))
    there.dispose()
    back.dispose()
  })

  it('keeps writes between runs, and reads, in order', async () => {
    const x = device.zeros([12, 64])
    const totals = [device.zeros([12]), device.zeros([12])] as const
    const step = [0, 1].map((i) =>
      device.record(() => device.run(sumRows, { x, before: totals[i] as Tensor, total: totals[1 - i] as Tensor })),
    )
    const reads: Promise<number[]>[] = []
    const values = new Float32Array(12 * 64)
    for (let i = 0; i < 40; i++) {
      x.write(values.fill(i))
      // part of a tensor
      x.slice(0, 2, 3).write(new Float32Array(64).fill(100))
      values.fill(-1)
      step[i % 2]?.run()
      if (i % 7 === 0) reads.push(read(totals[1 - (i % 2)] as Tensor))
    }
    const sum = (from: number) => (64 * from * (from + 1)) / 2
    for (const [k, promise] of reads.entries())
      expect(await promise).toEqual(range(12, (r) => (r === 2 ? 6400 * (7 * k + 1) : sum(7 * k))))
    expect(await read(totals[0])).toEqual(range(12, (r) => (r === 2 ? 6400 * 40 : sum(39))))
    for (const recording of step) recording.dispose()
  })

  it('mixes with kernels that are not recorded', async () => {
    const [x, y] = [device.zeros([9]), device.zeros([9])]
    const back = device.record(() => device.run(affineOf(9, 2), { x: y, y: x }))
    for (let i = 0; i < 5; i++) {
      device.run(affineOf(9, 1), { x, y })
      back.run()
    }
    let value = 0
    for (let i = 0; i < 5; i++) value = (value + 1) * 2 + 1
    expect(await read(x)).toEqual(range(9, () => value))
    back.dispose()
  })

  it('holds memory until it is disposed, also of captured tensors and of those made inside', async () => {
    const before = device.memory.allocated
    const captured = device.tensor([10, 20, 30, 40], [4])
    const program = defineProgram('with-captured', (p) => {
      const y = p.output('y', 'f32', [null])
      const rows = rowRange(0, 4)
      p.emit(store(y, [rows], load(p.input('x', 'f32', [null]), [rows]).add(captured.at(rows))))
    })
    const y = device.zeros([4])
    const recording = device.record(() => {
      const x = device.tensor([1, 2, 3, 4], [4])
      device.run({ program, grid: [1, 1, 1], scalars: {} }, { x, y })
      x.dispose()
    })
    const held = device.memory.allocated
    captured.dispose()
    expect(device.memory.allocated).toBe(held)
    // would take the place of what was freed
    const others = range(20, () => device.tensor([-1, -1, -1, -1], [4]) as never as number) as never as Tensor[]
    recording.run()
    expect(await read(y)).toEqual([11, 22, 33, 44])
    for (const other of others) other.dispose()
    recording.run()
    recording.dispose()
    recording.dispose()
    expect(recording.disposed).toBe(true)
    expect(await read(y)).toEqual([11, 22, 33, 44])
    y.dispose()
    expect(device.memory.allocated).toBe(before)
    expect(() => recording.run()).toThrow(fault('disposed', /^recording.run: the recording of 1 kernels was disposed/))
    await expect(recording.prepare()).rejects.toThrow(fault('disposed', /^recording.prepare: the recording/))
  })

  it('a disposed recording whose runs are still queued finishes them', async () => {
    const [x, y] = [device.zeros([800]), device.zeros([800])]
    const recording = device.record(() => {
      for (let i = 0; i < 20; i++) device.run(affineOf(800, 1), i % 2 ? { x: y, y: x } : { x, y })
    })
    for (let i = 0; i < 10; i++) recording.run()
    recording.dispose()
    const late = device.tensor(
      range(800, () => -5),
      [800],
    )
    expect(await read(x)).toEqual(range(800, () => 200))
    expect(await read(late)).toEqual(range(800, () => -5))
  })

  it('counts versions at every run, not when it records', () => {
    const [x, y] = [device.zeros([8]), device.zeros([8])]
    const versions = () => [x.version as number, y.version as number]
    const [ofX = 0, ofY = 0] = versions()
    const recording = device.record(() => {
      device.run(affineOf(8, 1), { x, y })
      device.run(affineOf(8, 1), { x, y })
    })
    expect(versions()).toEqual([ofX, ofY])
    recording.run()
    const after = versions()
    expect(after[0]).toBe(ofX)
    expect(after[1]).toBeGreaterThan(ofY)
    recording.run()
    expect(versions()[1]).toBeGreaterThan(after[1] as number)
    recording.dispose()
  })

  it('updates in place, and counts that as a write', async () => {
    const program = defineProgram('in-place', (p) => {
      const x = p.update('x', 'f32', [null])
      const at = colRange(p.programId(0).mul(8), 8)
      p.emit(store(x, [at], load(x, [at]).add(1)))
    })
    const x = device.zeros([30])
    const recording = device.record(() => {
      for (let i = 0; i < 5; i++) device.run({ program, grid: [4, 1, 1], scalars: {} }, { x })
    })
    const version = x.version as number
    for (let i = 0; i < 10; i++) recording.run()
    expect(x.version).toBeGreaterThan(version)
    expect(await read(x)).toEqual(range(30, () => 50))
    recording.dispose()
  })

  it('leaves empty grids out; a recording of nothing runs nothing', async () => {
    const [x, y] = [device.zeros([8]), device.tensor([5], [1])]
    const recording = device.record(() => device.run({ ...affineOf(8, 1), grid: [4, 0, 1] }, { x, y }))
    expect(recording.kernels).toBe(0)
    recording.run()
    await recording.prepare()
    expect(await read(y)).toEqual([5])
    recording.dispose()
  })

  it('prepares ahead of run', async () => {
    const [x, y] = [device.tensor([4], [1]), device.zeros([1])]
    const program = defineProgram('prepared', (p) => {
      p.emit(store(p.output('y', 'f32', [null]), [0], load(p.input('x', 'f32', [null]), [0]).mul(11)))
    })
    const recording = device.record(() => device.run({ program, grid: [1, 1, 1], scalars: {} }, { x, y }))
    await recording.prepare()
    recording.run()
    expect(await read(y)).toEqual([44])
    recording.dispose()
  })

  it('is timed', async () => {
    const [x, y] = [device.zeros([8]), device.zeros([8])]
    const recording = device.record(() => device.run(affineOf(8, 1), { x, y }))
    const time = await device.time(() => {
      for (let i = 0; i < 100; i++) recording.run()
    })
    expect(time.nanoseconds).toBeGreaterThan(0)
    recording.dispose()
  })

  describe('refuses', () => {
    it('reads, writes, timing and other recordings inside, and promises', async () => {
      const [x, y] = [device.zeros([8]), device.zeros([8])]
      const recording = device.record(() => device.run(affineOf(8, 1), { x, y }))
      const inside = (work: () => void) => () => device.record(work)
      const before = device.memory.allocated
      expect(inside(() => x.write(range(8)))).toThrow(
        fault('argument', /^tensor.write: f32 \[8\] inside device.record/),
      )
      expect(inside(() => device.record(() => {}))).toThrow(
        fault('argument', /^device.record: called inside the work of device.record/),
      )
      expect(inside(() => recording.run())).toThrow(fault('argument', /^recording.run: called inside/))
      expect(inside((async () => {}) as () => void)).toThrow(
        fault('argument', /^device.record: work must not be async/),
      )
      let reading: Promise<unknown> = Promise.resolve()
      let timing: Promise<unknown> = Promise.resolve()
      device
        .record(() => {
          expect(device.recording).toBe(true)
          reading = x.read()
          timing = device.time(() => {})
          reading.catch(() => {})
          timing.catch(() => {})
        })
        .dispose()
      await expect(reading).rejects.toThrow(fault('argument', /^tensor.read: f32 \[8\] inside device.record/))
      await expect(timing).rejects.toThrow(fault('argument', /^device.time: called inside/))
      expect(device.recording).toBe(false)
      recording.run()
      expect(await read(y)).toEqual(range(8, () => 1))
      recording.dispose()
      expect(device.memory.allocated).toBe(before)
    })

    it('what run refuses, and then holds nothing', () => {
      const before = device.memory.allocated
      const [x, y] = [device.zeros([8]), device.zeros([8])]
      expect(() =>
        device.record(() => {
          device.run(affineOf(8, 1), { x, y })
          device.run(affineOf(8, 1), { x, y: x })
        }),
      ).toThrow(fault('argument', /^device.run: affine: x and y share memory/))
      expect(() =>
        device.record(() => {
          device.run(affineOf(8, 1), { x, y })
          throw new RangeError('mine')
        }),
      ).toThrow(RangeError)
      device.run(affineOf(8, 1), { x, y })
      x.dispose()
      expect(() => device.record(() => device.run(affineOf(8, 1), { x, y }))).toThrow(
        fault('disposed', /^device.run: affine: x f32 \[8\] was disposed/),
      )
      y.dispose()
      expect(device.memory.allocated).toBe(before)
    })

    it('a device that was disposed', async () => {
      const mine = await openDevice(kind, options)
      const [x, y] = [mine.zeros([8]), mine.zeros([8])]
      const recording = mine.record(() => mine.run(affineOf(8, 1), { x, y }))
      recording.run()
      mine.dispose()
      const gone = fault('disposed', /the \w+ device was disposed/)
      expect(recording.disposed).toBe(true)
      expect(() => recording.run()).toThrow(gone)
      expect(() => mine.record(() => {})).toThrow(gone)
      await expect(recording.prepare()).rejects.toThrow(gone)
      recording.dispose()
    })
  })
})
