import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defineProgram, type Kernel, load, rowRange, store } from '../tile/index.ts'
import type { Device } from './device.ts'
import { openDevice } from './open-device.ts'
import { findWebgpu } from './webgpu-platform.ts'

const unhandled: unknown[] = []
const note = (reason: unknown) => unhandled.push(reason)
let gpuOwner: GPU
beforeAll(async () => {
  process.on('unhandledRejection', note)
  gpuOwner = await findWebgpu('test', {})
})
afterAll(async () => {
  await new Promise((resolve) => setTimeout(resolve, 100))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

/** a GPUDevice of the user's own */
async function ownDevice(): Promise<GPUDevice> {
  const adapter = await gpuOwner.requestAdapter()
  return await (adapter as GPUAdapter).requestDevice()
}

const double: Kernel = {
  program: defineProgram('double', (p) => {
    const x = p.input('x', 'f32', [null])
    const y = p.output('y', 'f32', [null])
    const rows = rowRange(p.programId(0).mul(8), 8)
    p.emit(store(y, [rows], load(x, [rows]).mul(2)))
  }),
  grid: [1, 1, 1],
  scalars: {},
}

const fault = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'FoveaError', code, message: expect.stringMatching(message) }) as never

describe('openDevice for WebGPU', () => {
  it('refuses when there is no adapter, and falls to WebAssembly only when nothing was named', async () => {
    const driver = process.env.VK_ICD_FILENAMES
    process.env.VK_ICD_FILENAMES = '/nowhere.json'
    // other toggles make another Dawn, which looks for drivers anew
    const webgpu = { toggles: { use_user_defined_labels_in_backend: true } }
    try {
      await expect(openDevice('webgpu', { webgpu })).rejects.toThrow(
        fault('device', /^openDevice: there is no WebGPU adapter/),
      )
      const device = await openDevice(undefined, { webgpu, wasm: { threads: 1 } })
      expect(device.kind).toBe('wasm')
      device.dispose()
    } finally {
      process.env.VK_ICD_FILENAMES = driver
    }
  })

  it('counts a software adapter as none unless it is asked for', async () => {
    const software = await openDevice('webgpu')
    const isSoftware = /swiftshader/i.test(software.info.name)
    software.dispose()
    const device = await openDevice(undefined, { wasm: { threads: 1 } })
    expect(device.kind).toBe(isSoftware ? 'wasm' : 'webgpu')
    device.dispose()
  })

  it('forces tiers downwards only', async () => {
    const plain = await openDevice('webgpu', { webgpu: { tier: 0 } })
    expect(plain.info.tier).toBe(0)
    plain.dispose()
    const gpu = await ownDevice()
    await expect(openDevice('webgpu', { webgpu: { device: gpu, tier: 3 } })).rejects.toThrow(
      fault('unsupported', /^openDevice: .* offers tier 0, not 3/),
    )
    await expect(openDevice('webgpu', { webgpu: { tier: 7 as never } })).rejects.toThrow(
      fault('argument', /^openDevice: webgpu.tier must be one of 0, 1, 2, 3, got 7/),
    )
    gpu.destroy()
  })

  it("uses the user's adapter", async () => {
    const adapter = (await gpuOwner.requestAdapter()) as GPUAdapter
    const device = await openDevice('webgpu', { webgpu: { adapter } })
    expect([...(await device.tensor([1, 2], [2]).read())]).toEqual([1, 2])
    device.dispose()
  })
})

describe("the user's own device and buffers", () => {
  let gpu: GPUDevice
  let device: Device
  beforeAll(async () => {
    gpu = await ownDevice()
    device = await openDevice('webgpu', { webgpu: { device: gpu } })
  })
  afterAll(() => gpu.destroy())

  const storage = 128 | 4 | 8
  it('computes in them and leaves them alone', async () => {
    const buffer = gpu.createBuffer({ size: 64, usage: storage })
    gpu.queue.writeBuffer(buffer, 0, new Float32Array([0, 1, 2, 3, 4, 5, 6, 7]))
    const x = device.fromBuffer(buffer, { shape: [4], offset: 2 })
    // the user's own work on the queue keeps its place between ours
    const [first, second] = [device.zeros([4]), device.zeros([4])]
    device.run(double, { x, y: first })
    gpu.queue.writeBuffer(buffer, 0, new Float32Array([0, 0, 20, 30, 40, 50]))
    device.run(double, { x, y: second })
    gpu.queue.writeBuffer(buffer, 0, new Float32Array([0, 1, 2, 3, 4, 5, 6, 7]))
    expect([...(await first.read()), ...(await second.read())]).toEqual([4, 6, 8, 10, 40, 60, 80, 100])
    const y = device.fromBuffer(gpu.createBuffer({ size: 64, usage: storage }), { shape: [4] })
    const before = device.memory.allocated
    device.run(double, { x, y })
    expect([...(await y.read())]).toEqual([4, 6, 8, 10])
    x.dispose()
    expect(device.memory.allocated).toBe(before)
    const again = device.fromBuffer(buffer, { shape: [2, 2], strides: [1, 1] })
    expect([...(await again.read())]).toEqual([0, 1, 1, 2])
    // a recorded run is on the queue before what the user does next
    const recording = device.record(() =>
      device.run(double, { x: device.fromBuffer(buffer, { shape: [4] }), y: first }),
    )
    recording.run()
    gpu.queue.writeBuffer(buffer, 0, new Float32Array(8).fill(9))
    expect([...(await first.read())]).toEqual([0, 2, 4, 6])
    recording.dispose()
  })

  it.each<[string, () => unknown, string, RegExp]>([
    [
      'no buffer',
      () => device.fromBuffer(null as never, { shape: [1] }),
      'argument',
      /^device.fromBuffer: takes a GPUBuffer, got null/,
    ],
    [
      'a buffer for other uses',
      () => device.fromBuffer(gpu.createBuffer({ size: 16, usage: 8 }), { shape: [1] }),
      'argument',
      /^device.fromBuffer: the buffer of 16 bytes lacks usage STORAGE/,
    ],
    [
      'a shape beyond the buffer',
      () => device.fromBuffer(gpu.createBuffer({ size: 16, usage: storage }), { shape: [5] }),
      'argument',
      /^device.fromBuffer: f32 \[5\] reaches element 4 of memory that holds 4/,
    ],
    [
      'an unknown dtype',
      () => device.fromBuffer(gpu.createBuffer({ size: 16, usage: storage }), { shape: [1], dtype: 'f8' as never }),
      'dtype',
      /^device.fromBuffer: dtype must be one of/,
    ],
  ])('refuses %s', (_name, act, code, message) => {
    expect(act).toThrow(fault(code, message))
  })

  it('refuses a buffer that ends inside a vector of an aligned kernel', () => {
    const program = defineProgram('aligned', (p) => {
      const x = p.input('x', 'f32', [null], { alignment: 4 })
      const y = p.output('y', 'f32', [null])
      p.emit(store(y, [rowRange(0, 8)], load(x, [rowRange(0, 8)])))
    })
    const x = device.fromBuffer(gpu.createBuffer({ size: 20, usage: storage }), { shape: [5] })
    expect(() => device.run({ program, grid: [1, 1, 1], scalars: {} }, { x, y: device.zeros([5]) })).toThrow(
      fault('argument', /^device.run: aligned: the buffer of x must be a multiple of 16 bytes long, got 20/),
    )
  })

  it('is not destroyed by dispose, and all of our buffers are', async () => {
    const mine = await openDevice('webgpu', { webgpu: { device: gpu } })
    const x = mine.zeros([1024])
    mine.dispose()
    await expect(x.read()).rejects.toThrow(fault('disposed', /^tensor.read: the device of f32 \[1024\] was disposed/))
    const ended = await Promise.race([gpu.lost.then(() => 'lost'), gpu.queue.onSubmittedWorkDone().then(() => 'alive')])
    expect(ended).toBe('alive')
  })
})

describe('limits of WebGPU, said before anything is allocated', () => {
  it('sizes, grids and unaligned writes', async () => {
    const device = await openDevice('webgpu')
    const limit = device.info.limits.maxStorageBufferBindingSize as number
    const before = device.memory.allocated
    expect(() => device.empty([limit / 4 + 1])).toThrow(
      fault(
        'limit',
        new RegExp(
          `^device.empty: ${limit + 4} bytes in one tensor; this device takes \\d+ .*maxStorageBufferBindingSize ${limit}`,
        ),
      ),
    )
    expect(device.memory.allocated).toBe(before)
    const [x, y] = [device.zeros([8]), device.zeros([8])]
    expect(() => device.run({ ...double, grid: [70000, 70000, 1] }, { x, y })).toThrow(
      fault('limit', /^device.run: double: a grid of \[70000, 70000, 1\] programs; 2147418111 is the most/),
    )
    const halves = device.zeros([6], 'f16')
    expect(() => halves.slice(0, 1, 3).write([1, 2])).toThrow(
      fault('unsupported', /^tensor.write: WebGPU writes multiples of 4 bytes, got 4 at 2/),
    )
    device.dispose()
  })
})

describe('faults that a GPU reports later', () => {
  it('a lost device: pending and later calls reject, nothing hangs', async () => {
    const gpu = await ownDevice()
    const device = await openDevice('webgpu', { webgpu: { device: gpu } })
    const [x, y] = [device.tensor([1, 2], [2]), device.zeros([2])]
    device.run(double, { x, y })
    const pending = [y.read(), device.sync(), device.prepare(double), device.time(() => device.run(double, { x, y }))]
    gpu.destroy()
    for (const promise of pending)
      await promise.then(
        () => {},
        (error) =>
          expect(error).toEqual(fault('device', /^(tensor.read|device.\w+): the GPU device was lost \(destroyed\)/)),
      )
    await gpu.lost
    const lost = fault('device', /^(tensor|device)\.\w+: the GPU device was lost \(destroyed\)/)
    await expect(y.read()).rejects.toThrow(lost)
    await expect(device.sync()).rejects.toThrow(lost)
    await expect(device.prepare(double)).rejects.toThrow(lost)
    await expect(device.time(() => {})).rejects.toThrow(lost)
    expect(() => device.run(double, { x, y })).toThrow(lost)
    expect(() => device.tensor([1], [1])).toThrow(lost)
    expect(() => x.write([1, 2])).toThrow(lost)
    expect(() => x.transpose(0, 0)).toThrow(lost)
    x.dispose()
    device.dispose()
    device.dispose()
  })

  it('a read that waits while the device is disposed rejects', async () => {
    const device = await openDevice('webgpu')
    const reads = [device.tensor([1], [1]).read(), device.sync()]
    device.dispose()
    for (const read of reads) await expect(read).rejects.toThrow(fault('disposed', /the webgpu device was disposed/))
  })

  it('a shader that does not compile: on prepare, or on the next wait after run; then the device goes on', async () => {
    const gpu = await ownDevice()
    const make = gpu.createShaderModule.bind(gpu)
    const device = await openDevice('webgpu', { webgpu: { device: gpu } })
    const [x, y] = [device.tensor([1, 2], [2]), device.zeros([2])]
    gpu.createShaderModule = (descriptor) =>
      make({ ...descriptor, code: `${descriptor.code}\nfn broken() { return 1; }` })
    await expect(device.prepare(double)).rejects.toThrow(fault('compile', /^device.prepare: double: [\s\S]*broken/))
    device.run(double, { x, y })
    await expect(y.read()).rejects.toThrow(fault('compile', /^tensor.read: double: /))
    device.run(double, { x, y })
    await expect(device.sync()).rejects.toThrow(fault('compile', /^device.sync: double: /))
    gpu.createShaderModule = make
    await device.prepare(double)
    device.run(double, { x, y })
    expect([...(await y.read())]).toEqual([2, 4])
    device.dispose()
    gpu.destroy()
  })

  it('a shader of a recording that does not compile: on prepare, or on the next wait after run; then it is compiled anew', async () => {
    const gpu = await ownDevice()
    const make = gpu.createShaderModule.bind(gpu)
    const device = await openDevice('webgpu', { webgpu: { device: gpu } })
    const [x, y] = [device.tensor([1, 2], [2]), device.zeros([2])]
    const recording = device.record(() => device.run(double, { x, y }))
    gpu.createShaderModule = (descriptor) =>
      make({ ...descriptor, code: `${descriptor.code}\nfn broken() { return 1; }` })
    await expect(recording.prepare()).rejects.toThrow(fault('compile', /^recording.prepare: double: [\s\S]*broken/))
    for (let round = 0; round < 2; round++) {
      recording.run()
      await expect(y.read()).rejects.toThrow(fault('compile', /^tensor.read: double: /))
    }
    gpu.createShaderModule = make
    await recording.prepare()
    recording.run()
    expect([...(await y.read())]).toEqual([2, 4])
    device.dispose()
    gpu.destroy()
  })

  it('out of memory rejects the next wait', async () => {
    const gpu = await ownDevice()
    const device = await openDevice('webgpu', { webgpu: { device: gpu } })
    const filters: GPUErrorFilter[] = []
    const [push, pop] = [gpu.pushErrorScope.bind(gpu), gpu.popErrorScope.bind(gpu)]
    gpu.pushErrorScope = (filter) => {
      filters.push(filter)
      push(filter)
    }
    gpu.popErrorScope = async () => {
      const error = await pop()
      return filters.pop() === 'out-of-memory' ? ({ message: 'no room' } as GPUError) : error
    }
    device.empty([1000])
    gpu.pushErrorScope = push
    gpu.popErrorScope = pop
    await expect(device.sync()).rejects.toThrow(
      fault('memory', /^device.sync: out of GPU memory at a tensor of 4000 bytes: no room/),
    )
    await device.sync()
    gpu.destroy()
  })
})

describe('memory and time', () => {
  it('reuses spare buffers, clears them for zeros, and frees everything on dispose', async () => {
    const device = await openDevice('webgpu')
    const first = device.tensor(new Float32Array(1000).fill(5), [1000])
    const { allocated } = device.memory
    expect(allocated).toBeGreaterThanOrEqual(4000)
    const y = device.zeros([8])
    const x = first.slice(0, 0, 8)
    device.run(double, { x, y })
    for (const view of [first, x]) view.dispose()
    await device.sync()
    expect(device.memory.reserved).toBeGreaterThan(device.memory.allocated)
    const second = device.zeros([1000])
    expect([...(await second.read())].every((v) => v === 0)).toBe(true)
    expect([...(await y.read())]).toEqual(new Array(8).fill(10))
    device.dispose()
    expect(device.memory).toEqual({ allocated: 0, peak: device.memory.peak, reserved: 0 })
  })

  it('a freed tensor of a kernel still recorded is not overwritten by its successor', async () => {
    const device = await openDevice('webgpu')
    const outputs = []
    for (let round = 0; round < 100; round++) {
      const x = device.tensor([round, -round - 1], [2])
      const y = device.empty([2])
      device.run(double, { x, y })
      x.dispose()
      outputs.push(y)
    }
    for (const [round, y] of outputs.entries()) expect([...(await y.read())]).toEqual([2 * round, -2 * round - 2])
    expect(device.memory.reserved).toBeLessThan(100 * 1024)
    device.dispose()
  })

  it('takes readback buffers again, however many reads wait', async () => {
    const gpu = await ownDevice()
    const made: number[] = []
    const create = gpu.createBuffer.bind(gpu)
    gpu.createBuffer = (descriptor) => {
      if (descriptor.usage & 1) made.push(descriptor.size)
      return create(descriptor)
    }
    const device = await openDevice('webgpu', { webgpu: { device: gpu } })
    const tensors = [3, 1000, 5000].map((n) =>
      device.tensor(
        new Float32Array(n).map((_, i) => i * n),
        [n],
      ),
    )
    const readAll = async () => {
      for (const [i, data] of (await Promise.all(tensors.map((tensor) => tensor.read()))).entries())
        expect([data.length, data[1], data.at(-1)]).toEqual(
          [3, 1000, 5000].map((n) => [n, n, n * (n - 1)])[i] as number[],
        )
    }
    for (let round = 0; round < 5; round++) await readAll()
    expect(made.toSorted((a, b) => a - b)).toEqual([4096, 4096, 32768])
    expect(device.memory.reserved).toBeGreaterThanOrEqual(device.memory.allocated + 2 * 4096 + 32768)
    device.dispose()
    gpu.destroy()
  })

  it('times kernels on the clock of the GPU where there is one', async () => {
    const device = await openDevice('webgpu')
    const [x, y] = [device.zeros([8]), device.zeros([8])]
    const time = await device.time(() => {
      for (let i = 0; i < 5; i++) device.run(double, { x, y })
    })
    expect(time.clock).toBe(device.info.features.includes('timestamp-query') ? 'device' : 'wall')
    expect(time.nanoseconds).toBeGreaterThan(0)
    device.dispose()
  })
})
