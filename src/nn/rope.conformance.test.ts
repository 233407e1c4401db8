import { afterAll, beforeAll, describe, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose, type FloatDType } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { ropeCases, ropeInputs } from './rope.cases.ts'
import { ropeReference } from './rope.reference.ts'
import { applyRope } from './rope.ts'
import { ropeTables } from './rope-tables.ts'

const dtypes: readonly FloatDType[] = ['f32', 'f16', 'bf16']
const seed = 5

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  describe.each(dtypes)('rope %s', (dtype) => {
    it.each(ropeCases)('$name', async (of) => {
      const { N, H, D } = of
      const round = (v: number) => roundTo(dtype, v)
      const inputs = ropeInputs(of, randomNumbers(seed))
      const x = inputs.x.map(round)
      const { data, ...layout } = ropeTables(
        {
          rotaryDim: of.rotaryDim,
          inverseFrequencies: inputs.inverseFrequencies,
          attentionFactor: of.attentionFactor,
        },
        of.maxPositions,
      )
      const output = guardedOutput(device, [N, H, D], dtype)
      applyRope(device, {
        x: device.tensor(Float32Array.from(x), [N, H, D], dtype),
        positions: device.tensor(Int32Array.from(inputs.positions), [N]),
        tables: { ...layout, table: device.tensor(data, [layout.rows, 2 * layout.pairs]) },
        interleaved: of.interleaved,
        output: output.tensor,
      })
      const expected = ropeReference({ ...of, ...inputs, x })
      const naive = ropeReference({ ...of, ...inputs, x, round: Math.fround }).map(round)
      expectClose({ name: 'output', got: await output.read(), expected, naive, dtype, seed })
    })
  })
})
