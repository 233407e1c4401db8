import { blockHash, type StreamingHash } from './sha256.ts'

/**
 * The id that git gives a file of `size` bytes: SHA-1 (FIPS 180-4) of a header and its bytes. The Hub names files that lie
 * in git by it; larger ones have a SHA-256.
 */
export function gitBlobHash(size: number): StreamingHash {
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0)
  const hash = blockHash(state, sha1Block)
  hash.add(new TextEncoder().encode(`blob ${size}\0`))
  return hash
}

function sha1Block(state: Int32Array, words: Int32Array, bytes: Uint8Array, at: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 64)
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(i * 4)
  const word = (i: number) => words[i] as number
  for (let i = 16; i < 80; i++) words[i] = rotated(word(i - 3) ^ word(i - 8) ^ word(i - 14) ^ word(i - 16), 1)
  let [a = 0, b = 0, c = 0, d = 0, e = 0] = state
  for (let i = 0; i < 80; i++) {
    const [f, k] = round(i, b, c, d)
    const next = (rotated(a, 5) + f + e + k + word(i)) | 0
    e = d
    d = c
    c = rotated(b, 30)
    b = a
    a = next
  }
  for (const [i, value] of [a, b, c, d, e].entries()) state[i] = (state[i] as number) + value
}

function round(i: number, b: number, c: number, d: number): [f: number, k: number] {
  if (i < 20) return [(b & c) | (~b & d), 0x5a827999]
  if (i < 40) return [b ^ c ^ d, 0x6ed9eba1]
  if (i < 60) return [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
  return [b ^ c ^ d, 0xca62c1d6]
}

const rotated = (word: number, by: number) => (word << by) | (word >>> (32 - by))
