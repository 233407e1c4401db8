import type { ByteSource } from './byte-source.ts'

const sampleBytes = 1024

/**
 * FNV-1a, 64 bits (Fowler, Noll, Vo), as 16 hexadecimal digits, over the first `headerBytes` of the source and the first,
 * middle and last 1,024 bytes of each place: not a defence against an adversary, but two models differ in it.
 */
export async function fingerprintOf(
  source: ByteSource,
  headerBytes: number,
  places: readonly { readonly offset: number; readonly byteLength: number }[],
): Promise<string> {
  const hash = fnv1a64()
  hash.add(await source.read(0, headerBytes))
  for (const { offset, byteLength } of places) {
    const length = Math.min(byteLength, sampleBytes)
    const starts = new Set([0, Math.floor((byteLength - length) / 2), byteLength - length])
    for (const start of starts) hash.add(await source.read(offset + start, length))
  }
  return hash.digest()
}

/** h ← (h xor byte) · (2^40 + 0x1b3) modulo 2^64, in four limbs of 16 bits: a `bigint` would be ten times slower. */
export function fnv1a64(): { add(bytes: Uint8Array): void; digest(): string } {
  let [h0, h1, h2, h3] = [0x2325, 0x8422, 0x9ce4, 0xcbf2]
  return {
    add(bytes) {
      for (const byte of bytes) {
        h0 ^= byte
        const [a, b, c, d] = [h0, h1, h2, h3]
        const t0 = a * 0x1b3
        const t1 = b * 0x1b3 + (t0 >>> 16)
        // 2^40 moves a limb up by two and 8 bits
        const t2 = c * 0x1b3 + (t1 >>> 16) + ((a << 8) & 0xffffff)
        const t3 = d * 0x1b3 + (t2 >>> 16) + ((b << 8) & 0xffffff)
        h0 = t0 & 0xffff
        h1 = t1 & 0xffff
        h2 = t2 & 0xffff
        h3 = t3 & 0xffff
      }
    },
    digest: () => [h3, h2, h1, h0].map((limb) => limb.toString(16).padStart(4, '0')).join(''),
  }
}
