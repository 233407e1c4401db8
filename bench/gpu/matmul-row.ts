import { relativeError } from '../../src/cli/exact-row.ts'
import type { Device } from '../../src/device/index.ts'
import { roundTo } from '../../src/ir/narrow-float.ts'
import { matmul } from '../../src/nn/matmul.ts'
import { type GpuRow, measured, round } from './gpu-row.ts'
import { interleavedTimes } from './interleaved-times.ts'
import { repeatedNormal } from './repeated-normal.ts'

/** The f16 product of two matrices [size, size], checked on sampled elements. */
export async function matmulRow(device: Device, size: number): Promise<GpuRow[]> {
  const [left, right] = [repeatedNormal(size * size, 'f16', 1), repeatedNormal(size * size, 'f16', 2)]
  const a = device.tensor(left.data, [size, size], 'f16')
  const b = device.tensor(right.data, [size, size], 'f16')
  const output = device.empty([size, size], 'f16')
  matmul(device, { a, b, output })

  const [actual, expected, naive]: [number[], number[], number[]] = [[], [], []]
  for (let i = 0; i < 16; i++) {
    const row = Math.round((i * (size - 1)) / 15)
    const slice = output.slice(0, row, row + 1)
    const values = await slice.read()
    slice.dispose()
    for (let j = 0; j < 16; j++) {
      const column = (i * 37 + Math.round((j * (size - 1)) / 15)) % size
      let [sum, single] = [0, 0]
      for (let k = 0; k < size; k++) {
        const product = left.pattern[left.at(row * size + k)]! * right.pattern[right.at(k * size + column)]!
        sum += product
        single = Math.fround(single + Math.fround(product))
      }
      actual.push(values[column]!)
      expected.push(sum)
      naive.push(roundTo('f16', single))
    }
  }
  const error = relativeError(actual, expected)
  const bound = Math.max(1e-3, 2 * relativeError(naive, expected))
  if (!(error <= bound)) throw new Error(`matmul is wrong: relative error ${error.toExponential(2)}, at most ${bound}`)

  const [times] = await interleavedTimes(device, [() => void matmul(device, { a, b, output })])
  for (const tensor of [a, b, output]) tensor.dispose()
  return [
    {
      case: `f16 matrix product ${size}³`,
      system: 'fovea',
      unit: 'TFLOP/s',
      ...measured(times!, 2 * size ** 3, 1e12),
      relativeError: round(error),
    },
  ]
}
