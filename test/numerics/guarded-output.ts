import { expect } from 'vitest'
import type { Device, Tensor } from '../../src/device/index.ts'
import type { StorageDType } from '../../src/ir/index.ts'

const guard = 64

/** An output tensor full of NaN, with as many NaN before and after it; `read` fails where a kernel wrote outside. */
export function guardedOutput(device: Device, shape: readonly number[], dtype: StorageDType) {
  const size = shape.reduce((a, b) => a * b, 1)
  const whole: Tensor = device.tensor(new Float32Array(size + 2 * guard).fill(Number.NaN), [size + 2 * guard], dtype)
  const strides = shape.map((_, dim) => shape.slice(dim + 1).reduce((a, b) => a * b, 1))
  return {
    tensor: whole.view({ shape, strides, offset: guard }),
    async read(): Promise<Float32Array> {
      const all = (await whole.read()) as Float32Array
      const outside = [...all.subarray(0, guard), ...all.subarray(guard + size)]
      expect(
        outside.findIndex((x) => !Number.isNaN(x)),
        'a write outside the output',
      ).toBe(-1)
      return all.subarray(guard, guard + size)
    },
  }
}
