import { expect, it } from 'vitest'
import { fromHalfBits, toBfloatBits, toHalfBits } from '../ir/narrow-float.ts'
import { encodeNarrow, narrowDecoder } from './narrow-arrays.ts'

it('rounds as the exact conversions do, around every half and over all exponents', () => {
  const values: number[] = [0, -0, Number.NaN, Infinity, -Infinity, 65519.99, 65520, 1e30, 3.4028234e38]
  for (let bits = 0; bits < 0x7c00; bits += 7) {
    const [low, high] = [fromHalfBits(bits), fromHalfBits(bits + 1)]
    const middle = (low + high) / 2
    values.push(low, middle, middle * (1 + 2 ** -20), -middle * (1 - 2 ** -20))
  }
  for (let e = -149; e < 128; e++) values.push(2 ** e, -1.5 * 2 ** e, 1.00390625 * 2 ** e, 1.01171875 * 2 ** e)
  const source = Float32Array.from(values)
  expect([...encodeNarrow('f16', source)]).toEqual([...source].map(toHalfBits))
  expect([...encodeNarrow('bf16', source)]).toEqual([...source].map(toBfloatBits))
})

it('decodes by table as one by one', () => {
  const [few, many] = [narrowDecoder('f16', 1), narrowDecoder('f16', 1e6)]
  for (let bits = 0; bits < 65536; bits += 13) expect(many(bits)).toEqual(few(bits))
})
