import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { colRange, defineProgram, dot, type Kernel, load, loop, rowRange, store, zeros } from '../tile/index.ts'
import type { Device } from './device.ts'
import { openDevice } from './open-device.ts'

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

/** y = rounds · (x xᵀ) of [32, 32] tiles, in every program of the grid: slow enough to still run when the next call comes */
function slowKernel(rounds: number): Kernel {
  const program = defineProgram('slow', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f32', [null, null, null])
    const tile = load(x, [rowRange(0, 32), colRange(0, 32)])
    const { sum } = loop({ to: p.scalar('rounds', 'i32') }, { sum: zeros([32, 32]) }, (_i, { sum }) => ({
      sum: sum.add(dot(tile, tile.T)),
    }))
    p.emit(store(y, [p.programId(0), rowRange(0, 32), colRange(0, 32)], sum))
  })
  return { program, grid: [8, 1, 1], scalars: { rounds } }
}

describe('the WebAssembly device', () => {
  it.each<[string, Parameters<typeof openDevice>[1], string, RegExp]>([
    ['no threads', { wasm: { threads: 0 } }, 'argument', /^openDevice: threads must be a whole number ≥ 1, got 0/],
    [
      'half a thread',
      { wasm: { threads: 1.5 } },
      'argument',
      /^openDevice: threads must be a whole number ≥ 1, got 1.5/,
    ],
    ['hardly any memory', { wasm: { maxBytes: 1000 } }, 'argument', /^openDevice: wasm.maxBytes must be .* got 1000/],
  ])('refuses %s', async (_name, options, code, message) => {
    await expect(openDevice('wasm', options)).rejects.toThrow(fault(code, message))
  })

  it('says what it is', async () => {
    const device = await openDevice('wasm', { wasm: { threads: 2, relaxed: false, maxBytes: 2 ** 26 } })
    expect(device.info).toMatchObject({ threads: 2, simd: 'simd', limits: { maxBytes: 2 ** 26 } })
    device.dispose()
  })

  it('refuses what it has no room for, and goes on', async () => {
    const device = await openDevice('wasm', { wasm: { threads: 1, maxBytes: 2 ** 22 } })
    const before = device.memory.allocated
    expect(() => device.empty([2 ** 21])).toThrow(
      fault('limit', /^device.empty: 8388608 bytes in one tensor; this device has 4194304 \(maxBytes\)/),
    )
    const half = device.empty([2 ** 19])
    expect(() => device.zeros([2 ** 19])).toThrow(fault('memory', /^device.zeros: 2097152 bytes do not fit/))
    expect(device.memory.allocated).toBe(before + 2 ** 21)
    half.dispose()
    const again = device.zeros([2 ** 19])
    expect((await again.read()).every((v) => v === 0)).toBe(true)
    device.dispose()
  })

  describe.each([1, 2])('with %i threads, while a kernel runs', (threads) => {
    let device: Device
    beforeAll(async () => {
      device = await openDevice('wasm', { wasm: { threads } })
    })
    afterAll(() => device.dispose())
    const ones = new Float32Array(32 * 32).fill(1)
    const rounds = 2000

    it('writes, frees and reads wait for their turn', async () => {
      const [x, y] = [device.tensor(ones, [32, 32]), device.empty([8, 32, 32])]
      device.run(slowKernel(rounds), { x, y })
      const read = y.read()
      const data = ones.slice()
      x.write(data.fill(2))
      data.fill(9)
      device.run(slowKernel(rounds), { x, y })
      x.dispose()
      // would take the place of x if that were free already
      const other = device.tensor(new Float32Array(32 * 32).fill(5), [32, 32])
      expect((await read).every((v) => v === 32 * rounds)).toBe(true)
      expect((await y.read()).every((v) => v === 4 * 32 * rounds)).toBe(true)
      expect((await other.read()).every((v) => v === 5)).toBe(true)
    })

    it('a read and a sync that wait reject when the device is disposed', async () => {
      const mine = await openDevice('wasm', { wasm: { threads } })
      const [x, y] = [mine.tensor(ones, [32, 32]), mine.empty([8, 32, 32])]
      mine.run(slowKernel(rounds * 20), { x, y })
      const waits = [y.read(), mine.sync(), mine.time(() => {})]
      mine.dispose()
      for (const wait of waits) await expect(wait).rejects.toThrow(fault('disposed', /the wasm device was disposed/))
    })
  })

  it('a kernel whose tiles do not fit is refused by run and prepare', async () => {
    const device = await openDevice('wasm', { wasm: { threads: 1 } })
    const program = defineProgram('huge', (p) => {
      const x = p.input('x', 'f32', [null, null])
      const y = p.output('y', 'f32', [null, null])
      const at = [rowRange(0, 2048), colRange(0, 2048)]
      p.emit(store(y, at, dot(load(x, at), load(x, at).T)))
    })
    const kernel: Kernel = { program, grid: [1, 1, 1], scalars: {} }
    const [x, y] = [device.zeros([4, 4]), device.zeros([4, 4])]
    const message = /: huge: huge needs \d+ bytes of scratch a worker, at most \d+ are allowed/
    expect(() => device.run(kernel, { x, y })).toThrow(fault('limit', message))
    await expect(device.prepare(kernel)).rejects.toThrow(fault('limit', message))
    device.dispose()
  })
})
