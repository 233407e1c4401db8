import { describe, expect, it } from 'vitest'
import { collectiveTrials } from '../../test/wgsl/element-trials.ts'
import { type Gpu, openGpu } from '../../test/wgsl/kernel-runner.ts'
import { runTrial } from '../../test/wgsl/run-trial.ts'
import { colRange, defineProgram, load, type Program, rowRange, store } from '../tile/index.ts'
import { lowerProgram } from './lower-program.ts'

const cols = 16
/** a row sum on a grid with rows of 16 invocations */
function rowSum(): Program {
  return defineProgram('trial', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f32', [null])
    p.emit(store(y, [rowRange(0, 8)], load(x, [rowRange(0, 8), colRange(0, 64)]).rowSum()))
  })
}

function lowered(subgroupMinSize: number, subgroupMaxSize: number): string {
  return lowerProgram(
    rowSum(),
    {
      tier: 1,
      maxWorkgroupBytes: 16384,
      maxInvocations: 256,
      maxStorageBuffers: 8,
      subgroupMinSize,
      subgroupMaxSize,
      subgroupMatrixConfigs: [],
    },
    { threadRows: 8, threadCols: cols },
  ).code
}

describe('a row of 16 invocations', () => {
  it.each([4, 8, 16, 32, 64])('exchanges within subgroups of %i', (size) => {
    const code = lowered(size, size)
    const distances = [...code.matchAll(/subgroupShuffleXor\(\w+, (\d+)u\)/g)].map(([, distance]) => Number(distance))
    const within = [1, 2, 4, 8].filter((distance) => distance < size)
    expect(distances).toEqual(within)
    // what is in other subgroups comes through workgroup memory
    expect(code.includes('memory[')).toBe(size < cols)
    expect(code).not.toContain('if (row_lanes >')
  })
  it('asks at run time where the size is open', () => {
    const code = lowered(4, 128)
    expect([...code.matchAll(/if \(row_lanes > (\d+)i\)/g)].map(([, distance]) => Number(distance))).toEqual([4, 8])
    expect(code).toContain('memory[')
  })
  it('numbers invocations by subgroup and lane, so that a row lies in consecutive lanes', () => {
    expect(lowered(32, 32)).toContain('subgroupBroadcastFirst(subgroup_number) * subgroup_size + lane')
  })
})

describe('reductions on this adapter', () => {
  // the adapter's own size is inside every one of these ranges
  const trials = collectiveTrials().filter(({ name }) => name.includes('[33, 20]') && name.includes('rowSum'))
  it.each([
    [4, 64],
    [4, 8],
    [1, 128],
  ])('are right when sizes from %i to %i are possible', async (subgroupMinSize, subgroupMaxSize) => {
    const gpu = await openGpu()
    const info = gpu.info as GPUAdapterInfo & { subgroupMinSize: number; subgroupMaxSize: number }
    const min = Math.min(subgroupMinSize, info.subgroupMinSize)
    const max = Math.max(subgroupMaxSize, info.subgroupMaxSize)
    const declared: Gpu = { ...gpu, info: { subgroupMinSize: min, subgroupMaxSize: max } as unknown as GPUAdapterInfo }
    expect(trials.length).toBeGreaterThan(0)
    for (const trial of trials) expect(await runTrial(declared, trial, 1)).toBeNull()
  })
})
