import { beforeAll, describe, expect, it } from 'vitest'
import { type Gpu, openGpu } from '../../test/wgsl/kernel-runner.ts'
import { faultsOf, lowerTightly, randomTrial } from '../../test/wgsl/random-trial.ts'
import type { WgslKernel } from './lower-program.ts'

let gpu: Gpu
beforeAll(async () => {
  gpu = await openGpu()
})

// most of these go wrong where a tile is written over another that is still being read: see barriers.ts
const seeds = {
  0: [30000, 30005, 30008, 30009, 30012, 30017, 30021, 7],
  1: [30003, 30010, 30011, 30014, 30022, 30023, 30027, 5],
}

describe.each([0, 1] as const)('random programs, tier %i', (tier) => {
  it.each(seeds[tier])('%i means the same as in the interpreter', async (seed) => {
    const trial = randomTrial(seed)
    const kernel = lowerTightly(gpu, trial, tier)
    expect(kernel).not.toBeNull()
    expect(await faultsOf(gpu, trial, kernel as WgslKernel)).toEqual([])
  })
})
