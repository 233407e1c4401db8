import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checksum } from './checksum.ts'

const bytes = fc.uint8Array({ minLength: 1, maxLength: 70 })
const text = (data: Uint8Array, seed = 0) => checksum(data, seed).join(' ')

describe('the checksum', () => {
  it('changes with any change within a word', () => {
    fc.assert(
      fc.property(bytes, fc.nat(), fc.uint8Array({ minLength: 4, maxLength: 4 }), (data, at, mask) => {
        const word = (at % data.length) & ~3
        const changed = data.map((byte, i) => (i >= word && i < word + 4 ? byte ^ (mask[i - word] as number) : byte))
        expect(text(changed) === text(data)).toBe(changed.every((byte, i) => byte === data[i]))
      }),
      { numRuns: 500 },
    )
  })

  it('changes with length, order and seed', () => {
    fc.assert(
      fc.property(bytes, (data) => {
        expect(text(Uint8Array.of(...data, 0))).not.toBe(text(data))
        expect(text(data, 1)).not.toBe(text(data))
      }),
    )
    const [a, b] = [Uint8Array.from({ length: 64 }, (_, i) => i), Uint8Array.from({ length: 64 }, (_, i) => i ^ 16)]
    expect(text(a)).not.toBe(text(b))
    // one result on every machine and in every version
    expect(text(a)).toBe('249 173 80 27 122 249 178 114 66 197 120 105 75 185 240 146')
  })
})
