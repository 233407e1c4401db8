import { describe, expect, it } from 'vitest'
import { openGpu, runKernel, runReference } from '../../test/wgsl/kernel-runner.ts'
import { seededRandom } from '../../test/wgsl/seeded-random.ts'
import { FoveaError } from '../ir/index.ts'
import { colRange, defineProgram, dot, load, loop, type Program, rowRange, store, zeros } from '../tile/index.ts'
import type { WgslCapabilities } from './capabilities.ts'
import { lowerProgram } from './lower-program.ts'

/** the floor of WebGPU */
const floor: WgslCapabilities = {
  tier: 0,
  maxWorkgroupBytes: 16384,
  maxInvocations: 256,
  maxStorageBuffers: 8,
  subgroupMinSize: 4,
  subgroupMaxSize: 128,
  subgroupMatrixConfigs: [],
}

/** o = Σ over tiles (q · kᵀ) · v: attention without its softmax, [tile, width] */
function chained(tile: number, width: number): Program {
  return defineProgram('chained', (p) => {
    const [q, k, v] = ['q', 'k', 'v'].map((name) => p.input(name, 'f32', [null, width], { alignment: 4 }))
    const o = p.output('o', 'f32', [null, width], { alignment: 4 })
    const rows = rowRange(p.programId(0).mul(tile), tile)
    const query = load(q!, [rows, colRange(0, width)]).mul(0.5)
    const { acc } = loop({ to: 2 * tile, step: tile }, { acc: zeros([tile, width]) }, (start, carried) => {
      const at = [rowRange(start, tile), colRange(0, width)] as const
      const s = dot(query, load(k!, at).T)
      return { acc: carried.acc.add(dot(s.sub(s.rowMax()), load(v!, at))) }
    })
    p.emit(store(o, [rows, colRange(0, width)], acc))
  })
}

describe('16 KiB of workgroup memory', () => {
  it.each([
    [32, 256],
    [32, 64],
    [16, 40],
  ])('runs tiles of [%i, %i] in slices', async (tile, width) => {
    const gpu = await openGpu()
    const program = chained(tile, width)
    const kernel = lowerProgram(program, floor)
    expect(kernel.workgroupBytes).toBeLessThanOrEqual(floor.maxWorkgroupBytes)
    const { numbers } = seededRandom(1)
    const shape = [2 * tile, width]
    const tensor = () => ({ values: numbers(2 * tile * width), shape })
    const output = { values: new Array<number>(2 * tile * width).fill(Number.NaN), shape }
    const tensors = { q: tensor(), k: tensor(), v: tensor(), o: output }
    const expected = runReference(program, [2, 1, 1], tensors).o as number[]
    const { o } = await runKernel(gpu, program, kernel, [2, 1, 1], tensors)
    const largest = Math.max(...expected.map(Math.abs))
    expected.forEach((value, at) => {
      expect(Math.abs((o?.[at] as number) - value)).toBeLessThan(1e-5 * largest)
    })
  })
})

describe('beyond the limits', () => {
  const refusal = (program: Program, capabilities: WgslCapabilities): FoveaError => {
    try {
      lowerProgram(program, capabilities)
    } catch (error) {
      if (error instanceof FoveaError) return error
      throw error
    }
    throw new Error('lowerProgram accepted it')
  }
  it('refuses too many tensors', () => {
    const error = refusal(chained(16, 16), { ...floor, maxStorageBuffers: 3 })
    expect(error.code).toBe('limit')
    expect(error.message).toBe('chained: has 4 tensors, the device binds at most 3 storage buffers')
  })
  it('refuses what workgroup memory cannot hold', () => {
    const error = refusal(chained(128, 256), { ...floor, maxWorkgroupBytes: 2048 })
    expect(error.code).toBe('limit')
    expect(error.message).toMatch(/^chained: needs \d+ bytes of workgroup memory, the device has 2048/)
  })
})

describe('arguments', () => {
  const program = defineProgram('arguments', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const a = p.scalar('a', 'f32')
    const n = p.scalar('n', 'i32')
    const y = p.output('y', 'f32', [null])
    p.emit(store(y, [rowRange(0, 4)], load(x, [rowRange(0, 4), n]).mul(a)))
  })
  const { packArguments } = lowerProgram(program, floor)
  const x = { shape: [4, 6], strides: [8, 1], offset: 16 }
  const y = { shape: [4], strides: [1], offset: 0 }
  it('are laid out as infinities, then tensors, then scalars', () => {
    const words = new Uint32Array(packArguments([x, y], [0.5, -3]))
    const [half, minusThree] = [0x3f000000, 0xfffffffd]
    const tensors = [16, 4, 6, 8, 1, 0, 4, 1]
    expect([...words.slice(0, 14)]).toEqual([0xff800000, 0x7f800000, 0x7fc00000, 0, ...tensors, half, minusThree])
    expect(words.byteLength % 16).toBe(0)
  })
  it('are refused when one is missing or has another rank', () => {
    expect(() => packArguments([x], [0.5, -3])).toThrow('arguments: takes 2 tensors and 2 scalars, got 1 and 2')
    expect(() => packArguments([x, { ...y, shape: [2, 2] }], [0.5, 1])).toThrow(
      'arguments: y has 1 dimensions, got shape [2, 2]',
    )
  })
})
