import { afterAll, beforeAll, describe, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { expectClose } from '../../../test/numerics/expect-close.ts'
import { pagedReference } from '../../../test/paged/paged-reference.ts'
import { fillPages, runPaged } from '../../../test/paged/paged-trial.ts'
import { pagedTrials } from '../../../test/paged/paged-trials.ts'
import type { Device } from '../../device/index.ts'

const seed = 1
/** builds that differ from others in what is the same for every trial take every second one */
const variants = ['wasm plain', 'webgpu T1']

describe.each(Object.entries(devices))('%s', (name, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(pagedTrials.filter((_, i) => i % 2 === 0 || !variants.includes(name)))('$name', async (trial) => {
    const step = await fillPages(device, { ...trial, seed })
    const got = await runPaged(device, trial, step)
    const expected = pagedReference(trial, step)
    expectClose({ name: 'output', got, expected, naive: expected.map(Math.fround), dtype: 'f32', seed })
  })
})
