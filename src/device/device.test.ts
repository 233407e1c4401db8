import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  colRange,
  defineProgram,
  type Kernel,
  load,
  loop,
  rowRange,
  type StorageDType,
  scalar,
  store,
} from '../tile/index.ts'
import type { Device, Tensor } from './device.ts'
import type { DeviceKind } from './device-info.ts'
import type { DeviceOptions } from './device-options.ts'
import { openDevice } from './open-device.ts'

const devices: readonly [string, DeviceKind, DeviceOptions][] = [
  ['interpret', 'interpret', {}],
  ['interpret real', 'interpret', { interpret: { precision: 'real' } }],
  ['wasm', 'wasm', { wasm: { threads: 2 } }],
  ['wasm plain, one thread', 'wasm', { wasm: { threads: 1, relaxed: false } }],
  ['webgpu T0', 'webgpu', { webgpu: { tier: 0 } }],
  ['webgpu', 'webgpu', {}],
]

const unhandled: unknown[] = []
const note = (reason: unknown) => unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', note))
afterAll(async () => {
  await new Promise((resolve) => setTimeout(resolve, 20))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

/** y = x · factor + captured[row], over tiles of 8 × 4 */
function scaleKernel(
  device: Device,
  rows: number,
  cols: number,
  factor: number,
): { kernel: Kernel; captured: ReturnType<Device['tensor']> } {
  const captured = device.tensor(
    Array.from({ length: rows }, (_, i) => i * 100),
    [rows],
  )
  const program = defineProgram('scale', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f32', [null, null])
    const [r, c] = [rowRange(p.programId(0).mul(8), 8), colRange(p.programId(1).mul(4), 4)]
    p.emit(store(y, [r, c], load(x, [r, c]).mul(p.scalar('factor', 'f32')).add(captured.at(r))))
  })
  return { kernel: { program, grid: [Math.ceil(rows / 8), Math.ceil(cols / 4), 1], scalars: { factor } }, captured }
}

describe.each(devices)('%s device', (_name, kind, options) => {
  let device: Device
  let other: Device
  beforeAll(async () => {
    device = await openDevice(kind, options)
    other = await openDevice(kind, options)
  })
  afterAll(() => {
    device.dispose()
    other.dispose()
  })

  it('describes itself', () => {
    expect(device.kind).toBe(kind)
    expect(device.info.name.length).toBeGreaterThan(3)
  })

  it.each<[StorageDType, number[], number[]]>([
    ['f32', [1.5, -2, 1 / 3], [1.5, -2, Math.fround(1 / 3)]],
    ['f16', [1.5, -2, 1 / 3], [1.5, -2, 0.333251953125]],
    ['bf16', [1.5, -2, 1 / 3], [1.5, -2, 0.333984375]],
    ['i32', [1, -2, 2147483647], [1, -2, 2147483647]],
    ['u32', [1, 2, 4294967295], [1, 2, 4294967295]],
    ['i8', [1, -128, 127], [1, -128, 127]],
    ['u8', [1, 2, 255], [1, 2, 255]],
  ])('holds %s', async (dtype, values, expected) => {
    const tensor = device.tensor(values, [3], dtype)
    expect(tensor.dtype).toBe(dtype)
    expect([...(await tensor.read())]).toEqual(expected)
    tensor.dispose()
  })

  it('takes the dtype of the data, raw bits and raw bytes', async () => {
    expect(device.tensor(new Int32Array([1]), [1]).dtype).toBe('i32')
    expect(device.tensor(new Uint8Array([1]), [1]).dtype).toBe('u8')
    expect(device.tensor(new Float64Array([1]), [1]).dtype).toBe('f32')
    expect([...(await device.tensor(new Uint16Array([0x3c00, 0xc000]), [2], 'f16').read())]).toEqual([1, -2])
    expect([...(await device.tensor(new Float32Array([3, 4]).buffer, [1, 2], 'f32').read())]).toEqual([3, 4])
    expect([...(await device.tensor(new Float32Array([9, 3, 4]).subarray(1), [2]).read())]).toEqual([3, 4])
    expect([...(await device.zeros([2, 2], 'f16').read())]).toEqual([0, 0, 0, 0])
    expect((await device.empty([0, 4]).read()).length).toBe(0)
    expect((await device.empty([5]).read()).length).toBe(5)
  })

  it('gives bytes as stored', async () => {
    const bits = new Uint16Array([0x3c00, 0x7e01, 0x8000, 1, 2, 3])
    const x = device.tensor(bits, [3, 2], 'f16')
    const stored = async (tensor: Tensor) => [...new Uint16Array((await tensor.readBytes()).slice().buffer)]
    expect(await stored(x)).toEqual([...bits])
    expect(await stored(x.slice(0, 1, 3))).toEqual([0x8000, 1, 2, 3])
    expect(await stored(x.transpose(0, 1))).toEqual([0x3c00, 0x8000, 2, 0x7e01, 1, 3])
    expect(await stored(x.slice(0, 1, 1))).toEqual([])
  })

  it('views, transposes, slices and reshapes for free', async () => {
    const before = device.memory.allocated
    const x = device.tensor([0, 1, 2, 3, 4, 5], [2, 3])
    const held = device.memory.allocated
    expect(held).toBeGreaterThanOrEqual(before + 24)
    expect([...(await x.transpose(0, 1).read())]).toEqual([0, 3, 1, 4, 2, 5])
    expect(x.transpose(0, 1).shape).toEqual([3, 2])
    expect([...(await x.slice(1, 1, 3).read())]).toEqual([1, 2, 4, 5])
    expect([...(await x.slice(0, 1, 2).reshape([3, 1]).read())]).toEqual([3, 4, 5])
    expect([...(await x.view({ shape: [2], strides: [3], offset: 1 }).read())]).toEqual([1, 4])
    expect(device.memory.allocated).toBe(held)
  })

  it('writes into tensors and views', async () => {
    const x = device.zeros([2, 4])
    x.write([1, 2, 3, 4, 5, 6, 7, 8])
    x.slice(1, 1, 3).write([-1, -2, -3, -4])
    expect([...(await x.read())]).toEqual([1, -1, -2, 4, 5, -3, -4, 8])
    expect(() => x.write([1])).toThrow(/^tensor.write: f32 \[2, 4\] has 8 elements, got number\[\]\(1\)/)
  })

  it('runs kernels in order, with captured tensors, strides and partial tiles', async () => {
    const [rows, cols] = [11, 6]
    const { kernel } = scaleKernel(device, rows, cols, 2)
    const data = Array.from({ length: rows * cols }, (_, i) => i)
    const x = device.tensor(data, [rows, cols])
    const wide = device.tensor(new Float32Array(rows * 10).fill(-7), [rows, 10])
    const y = wide.slice(1, 2, 2 + cols)
    device.run(kernel, { x, y })
    device.run(kernel, { x: y, y: x })
    const expected = data.map((v, i) => (v * 2 + Math.floor(i / cols) * 100) * 2 + Math.floor(i / cols) * 100)
    expect([...(await x.read())]).toEqual(expected)
    const whole = await wide.read()
    for (let r = 0; r < rows; r++) {
      expect([whole[r * 10], whole[r * 10 + 1], whole[r * 10 + 8], whole[r * 10 + 9]]).toEqual([-7, -7, -7, -7])
      for (let c = 0; c < cols; c++) expect(whole[r * 10 + 2 + c]).toBe((r * cols + c) * 2 + r * 100)
    }
  })

  it('reads what was there when the read was enqueued, and writes after earlier kernels', async () => {
    const { kernel } = scaleKernel(device, 1, 1, 3)
    const [x, y] = [device.tensor([1], [1, 1]), device.zeros([1, 1])]
    device.run(kernel, { x, y })
    x.write([10])
    const first = y.read()
    device.run(kernel, { x, y })
    expect([...(await first), ...(await y.read())]).toEqual([3, 30])
  })

  it('does nothing on an empty grid', async () => {
    const { kernel } = scaleKernel(device, 1, 1, 3)
    const [x, y] = [device.tensor([1], [1, 1]), device.tensor([5], [1, 1])]
    device.run({ ...kernel, grid: [1, 0, 1] }, { x, y })
    expect([...(await y.read())]).toEqual([5])
  })

  it('keeps the memory until every view is disposed; again is harmless', () => {
    const before = device.memory.allocated
    const x = device.zeros([64, 64])
    const view = x.transpose(0, 1)
    x.dispose()
    x.dispose()
    expect(device.memory.allocated).toBeGreaterThanOrEqual(before + 64 * 64 * 4)
    expect(device.memory.peak).toBeGreaterThanOrEqual(device.memory.allocated)
    view.dispose()
    expect(device.memory.allocated).toBe(before)
    view.dispose()
    expect(device.memory.allocated).toBe(before)
  })

  it('measures time', async () => {
    const program = defineProgram('busy', (p) => {
      const y = p.output('y', 'f32', [null])
      const { sum } = loop({ to: p.scalar('n', 'i32') }, { sum: scalar(0) }, (i, { sum }) => ({ sum: sum.add(i) }))
      p.emit(store(y, [0], sum))
    })
    const y = device.zeros([1])
    const time = await device.time(() => device.run({ program, grid: [1, 1, 1], scalars: { n: 1000 } }, { y }))
    expect([...(await y.read())]).toEqual([499500])
    expect(time.nanoseconds).toBeGreaterThan(0)
    expect(['device', 'wall']).toContain(time.clock)
  })

  describe('refuses', () => {
    const bad = (message: RegExp, code: string) =>
      expect.objectContaining({ name: 'FoveaError', code, message: expect.stringMatching(message) })

    it.each<[string, (d: Device) => unknown, RegExp, string]>([
      [
        'a wrong length',
        (d) => d.tensor([1, 2, 3], [2, 2]),
        /^device.tensor: f32 \[2, 2\] has 4 elements, got number\[\]\(3\)/,
        'shape',
      ],
      [
        'half a number of bytes',
        (d) => d.tensor(new ArrayBuffer(6), [1], 'f32'),
        /^device.tensor: ArrayBuffer\(6 bytes\) is no whole number of f32/,
        'shape',
      ],
      [
        'an unknown dtype',
        (d) => d.tensor([1], [1], 'f64' as never),
        /^device.tensor: dtype must be one of .*got f64/,
        'dtype',
      ],
      [
        'an unknown dtype, empty',
        (d) => d.empty([1], 'toString' as never),
        /^device.empty: dtype must be one of .*got toString/,
        'dtype',
      ],
      [
        'raw bits without a dtype',
        (d) => d.tensor(new Uint16Array(1), [1]),
        /^device.tensor: Uint16Array\(1\) needs a dtype/,
        'dtype',
      ],
      [
        'raw bits as f32',
        (d) => d.tensor(new Uint16Array(1), [1], 'f32'),
        /^device.tensor: a Uint16Array holds raw bits/,
        'dtype',
      ],
      [
        'bytes without a dtype',
        (d) => d.tensor(new ArrayBuffer(4), [1]),
        /^device.tensor: ArrayBuffer\(4 bytes\) needs a dtype/,
        'dtype',
      ],
      ['data of no kind', (d) => d.tensor('no' as never, [1]), /^device.tensor: .*got string/, 'dtype'],
      [
        '64-bit integers',
        (d) => d.tensor(new BigInt64Array(1) as never, [1], 'i32'),
        /^device.tensor: .*BigInt64Array\(1\)/,
        'dtype',
      ],
      [
        'holes',
        (d) => d.tensor(['1'] as never, [1]),
        /^device.tensor: data must be numbers, got string at 0/,
        'argument',
      ],
      [
        'an integer out of range',
        (d) => d.tensor([1, 300], [2], 'u8'),
        /^device.tensor: u8 holds integers 0 to 255, got 300 at 1/,
        'argument',
      ],
      [
        'a fraction as an integer',
        (d) => d.tensor([1.5], [1], 'i32'),
        /^device.tensor: i32 holds integers/,
        'argument',
      ],
      ['a negative size', (d) => d.empty([2, -1]), /^device.empty: a shape is an array of whole numbers/, 'argument'],
      ['a fractional size', (d) => d.zeros([1.5]), /^device.zeros: a shape is an array of whole numbers/, 'argument'],
      [
        'a view beyond the memory',
        (d) => d.empty([2, 3]).view({ shape: [2, 4] }),
        /^tensor.view: f32 \[2, 4\] reaches element 7 of memory that holds 6/,
        'argument',
      ],
      [
        'negative strides',
        (d) => d.empty([6]).view({ shape: [2], strides: [-1], offset: 3 }),
        /^tensor.view: one stride ≥ 0/,
        'argument',
      ],
      [
        'a slice beyond',
        (d) => d.empty([2, 3]).slice(1, 1, 4),
        /^tensor.slice: f32 \[2, 3\] has no elements 1 … 4 of dimension 1/,
        'argument',
      ],
      [
        'a dimension beyond',
        (d) => d.empty([2, 3]).transpose(0, 2),
        /^tensor.transpose: f32 \[2, 3\] has no dimension 2/,
        'argument',
      ],
      [
        'reshaping a transpose',
        (d) => d.empty([2, 3]).transpose(0, 1).reshape([6]),
        /^tensor.reshape: f32 \[3, 2\] strides \[1, 3\] cannot be seen as \[6\]/,
        'shape',
      ],
      [
        'reshaping to another size',
        (d) => d.empty([2, 3]).reshape([5]),
        /^tensor.reshape: f32 \[2, 3\] cannot be seen as \[5\]/,
        'shape',
      ],
      ['too few indices', (d) => d.empty([2, 3]).at(0), /^tensor.at: f32 \[2, 3\] takes 2 indices, got 1/, 'shape'],
    ])('%s', (_case, act, message, code) => {
      expect(() => act(device)).toThrow(bad(message, code) as never)
    })

    it.each<
      [
        string,
        (good: Readonly<Record<string, ReturnType<Device['tensor']>>>) => Record<string, unknown>,
        RegExp,
        string,
      ]
    >([
      ['a binding missing', ({ x }) => ({ x }), /^device.run: scale: y must be a tensor, got nothing/, 'argument'],
      [
        'a binding of no tensor',
        ({ x }) => ({ x, y: [1] }),
        /^device.run: scale: y must be a tensor, got object/,
        'argument',
      ],
      [
        'an unknown binding',
        ({ x, y }) => ({ x, y, z: x }),
        /^device.run: scale: has no parameter z \(x, y, factor\)/,
        'argument',
      ],
      [
        'another dtype',
        ({ x }) => ({ x, y: device.empty([4, 4], 'f16') }),
        /^device.run: scale: y must be f32, got f16 \[4, 4\]/,
        'dtype',
      ],
      [
        'another rank',
        ({ x }) => ({ x, y: device.empty([16]) }),
        /^device.run: scale: y must be f32 \[\?, \?\], got f32 \[16\]/,
        'shape',
      ],
      [
        'a last dimension that is not contiguous',
        ({ x, y }) => ({ x: x?.transpose(0, 1), y }),
        /^device.run: scale: x must be contiguous in its last dimension, got f32 \[4, 4\] strides \[1, 4\]/,
        'shape',
      ],
      [
        'memory read and written',
        ({ x }) => ({ x, y: x }),
        /^device.run: scale: x and y share memory, and one is written/,
        'argument',
      ],
      [
        'a tensor of another device',
        ({ x }) => ({ x, y: other.empty([4, 4]) }),
        /^device.run: scale: y f32 \[4, 4\] belongs to another device/,
        'device',
      ],
    ])('%s', (_case, change, message, code) => {
      const { kernel } = scaleKernel(device, 4, 4, 1)
      const good = { x: device.zeros([4, 4]), y: device.zeros([4, 4]) }
      expect(() => device.run(kernel, change(good) as never)).toThrow(bad(message, code) as never)
    })

    it('specialised sizes, alignment, scalars and grids that do not fit', () => {
      const program = defineProgram('special', (p) => {
        const x = p.input('x', 'f32', [null, 4], { alignment: 4 })
        const y = p.output('y', 'f32', [null, 4])
        p.emit(store(y, [0, p.scalar('at', 'i32')], load(x, [0, 0])))
      })
      const kernel: Kernel = { program, grid: [1, 1, 1], scalars: { at: 0 } }
      const [x, y] = [device.zeros([2, 4]), device.zeros([2, 4])]
      expect(() => device.run(kernel, { x: device.zeros([2, 5]), y })).toThrow(
        /x must be f32 \[\?, 4\], got f32 \[2, 5\]/,
      )
      expect(() => device.run(kernel, { x: device.zeros([2, 8]).view({ shape: [2, 4], strides: [6, 1] }), y })).toThrow(
        /offset and strides of x must be multiples of 4, got f32 \[2, 4\] strides \[6, 1\]/,
      )
      expect(() => device.run({ ...kernel, scalars: {} }, { x, y })).toThrow(/at must be i32, got undefined/)
      expect(() => device.run({ ...kernel, scalars: { at: 1.5 } }, { x, y })).toThrow(/at must be i32, got 1.5/)
      expect(() => device.run({ ...kernel, scalars: { at: 0, b: 1 } }, { x, y })).toThrow(/has no parameter b/)
      expect(() => device.run({ ...kernel, grid: [1, -1, 1] }, { x, y })).toThrow(
        /the grid is three whole numbers ≥ 0, got \[1, -1, 1\]/,
      )
    })

    it('a disposed tensor in every method', async () => {
      const x = device.zeros([4, 4])
      const { kernel, captured } = scaleKernel(device, 4, 4, 1)
      const y = device.zeros([4, 4])
      x.dispose()
      const gone = bad(/f32 \[4, 4\] was disposed/, 'disposed')
      await expect(x.read()).rejects.toThrow(gone as never)
      expect(() => x.write([1])).toThrow(gone as never)
      expect(() => x.view({ shape: [1] })).toThrow(gone as never)
      expect(() => x.at(0, 0)).toThrow(gone as never)
      expect(() => device.run(kernel, { x, y })).toThrow(
        bad(/^device.run: scale: x f32 \[4, 4\] was disposed/, 'disposed') as never,
      )
      captured.dispose()
      expect(() => device.run(kernel, { x: device.zeros([4, 4]), y })).toThrow(
        bad(/captured0 f32 \[4\] was disposed/, 'disposed') as never,
      )
    })

    it('a disposed device in every method; dispose again is harmless', async () => {
      const mine = await openDevice(kind, options)
      const x = mine.zeros([4])
      const { kernel } = scaleKernel(mine, 4, 4, 1)
      mine.dispose()
      mine.dispose()
      const gone = bad(/device.* was disposed/, 'disposed')
      expect([mine.disposed, x.disposed, mine.memory.allocated, mine.memory.reserved]).toEqual([true, true, 0, 0])
      for (const act of [
        () => mine.tensor([1], [1]),
        () => mine.empty([1]),
        () => mine.zeros([1]),
        () => mine.run(kernel, {}),
        () => x.write([1]),
        () => x.at(0),
      ])
        expect(act).toThrow(gone as never)
      for (const act of [() => mine.sync(), () => x.read(), () => mine.prepare(kernel), () => mine.time(() => {})])
        await expect(act()).rejects.toThrow(gone as never)
      x.dispose()
    })

    it('a buffer of a kind that it has not', () => {
      if (kind === 'webgpu') return
      expect(() => device.fromBuffer({} as never, { shape: [1] })).toThrow(
        bad(/^device.fromBuffer: a \w+ device has no GPU buffers/, 'unsupported') as never,
      )
    })
  })
})

describe('openDevice', () => {
  it('refuses a choice that does not exist', async () => {
    await expect(openDevice('cuda' as never)).rejects.toThrow(
      /^openDevice: the device must be one of webgpu, wasm, interpret, got "cuda"/,
    )
  })
})
