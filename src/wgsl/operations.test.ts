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

const groups = {
  'element-wise': elementTrials(),
  'reductions, running sums, transposes': collectiveTrials(),
  dot: dotTrials(),
  storage: storageTrials(),
  loops: loopTrials(),
}

describe.each([0, 1] as const)('tier %i', (tier) => {
  for (const [group, trials] of Object.entries(groups))
    describe(group, () => {
      it.each(trials)('$name', async (trial) => {
        expect(await runTrial(gpu, trial, tier)).toBeNull()
      })
    })
})
