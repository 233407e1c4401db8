import { afterAll, beforeAll, describe, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { tokenLogLikelihoodCases, tokenLogLikelihoodInputs } from './token-log-likelihood.cases.ts'
import { tokenLogLikelihoodReference } from './token-log-likelihood.reference.ts'
import { tokenLogLikelihood } from './token-log-likelihood.ts'

const seed = 7

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  describe.each(['f32', 'f16'] as const)('token log-likelihood %s', (dtype) => {
    it.each(tokenLogLikelihoodCases)('$name', async (of) => {
      const { N, V, softCap } = of
      const { logits: exact, targets } = tokenLogLikelihoodInputs(of, randomNumbers(seed))
      const logits = exact.map((v) => roundTo(dtype, v))
      const output = guardedOutput(device, [N], 'f32')
      tokenLogLikelihood(device, {
        logits: device.tensor(Float32Array.from(logits), [N, V], dtype),
        targets: device.tensor(Int32Array.from(targets), [N]),
        softCap,
        output: output.tensor,
      })
      const input = { N, V, logits, targets, softCap }
      const expected = tokenLogLikelihoodReference(input)
      const naive = tokenLogLikelihoodReference({ ...input, round: Math.fround })
      // logits are read as they are: their dtype rounds nothing more
      expectClose({ name: 'output', got: await output.read(), expected, naive, dtype: 'f32', seed })
    })
  })
})
