import { beforeAll, describe, expect, it } from 'vitest'
import { dotTrials } from '../../test/wgsl/dot-trials.ts'
import { collectiveTrials, elementTrials } from '../../test/wgsl/element-trials.ts'
import { type Gpu, openGpu } from '../../test/wgsl/kernel-runner.ts'
import { loopTrials } from '../../test/wgsl/loop-trials.ts'
import { runTrial } from '../../test/wgsl/run-trial.ts'
import { storageTrials } from '../../test/wgsl/storage-trials.ts'

let gpu: Gpu
beforeAll(async () => {
  gpu = await openGpu()
})

// subgroup operations take part in reductions alone
const tierOne = { 'reductions, running sums, transposes': collectiveTrials(), loops: loopTrials() }
const tierZero = { ...tierOne, 'element-wise': elementTrials(), dot: dotTrials(), storage: storageTrials() }

describe.each([
  [0, tierZero],
  [1, tierOne],
] as const)('tier %i', (tier, groups) => {
  for (const [group, trials] of Object.entries(groups))
    describe(group, () => {
      it.each(trials)('$name', async (trial) => {
        expect(await runTrial(gpu, trial, tier)).toBeNull()
      })
    })
})
