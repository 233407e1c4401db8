/** A hash of bytes that come in pieces. */
export interface StreamingHash {
  add(bytes: Uint8Array): void
  /** lower-case hexadecimal; nothing may be added afterwards */
  digest(): string
}

/**
 * SHA-256 (FIPS 180-4) of bytes that come in pieces: Web Crypto hashes only what is whole in memory, and is not there on
 * pages that are served without TLS.
 */
export function sha256(): StreamingHash {
  return blockHash(Int32Array.from(initial), sha256Block)
}

/** The frame that SHA-1 and SHA-256 have in common: blocks of 64 bytes, a one bit and the length in bits at the end. */
export function blockHash(
  state: Int32Array<ArrayBuffer>,
  block: (state: Int32Array, words: Int32Array, bytes: Uint8Array, at: number) => void,
): StreamingHash {
  const words = new Int32Array(80)
  const rest = new Uint8Array(64)
  let length = 0
  const add = (bytes: Uint8Array) => {
    let at = 0
    const held = length % 64
    length += bytes.byteLength
    if (held > 0) {
      at = Math.min(64 - held, bytes.byteLength)
      rest.set(bytes.subarray(0, at), held)
      if (held + at < 64) return
      block(state, words, rest, 0)
    }
    for (; at + 64 <= bytes.byteLength; at += 64) block(state, words, bytes, at)
    rest.set(bytes.subarray(at))
  }
  return {
    add,
    digest() {
      const bits = length * 8
      const padding = new Uint8Array(((119 - (length % 64)) % 64) + 9)
      padding[0] = 0x80
      const view = new DataView(padding.buffer)
      view.setUint32(padding.byteLength - 8, Math.floor(bits / 2 ** 32))
      view.setUint32(padding.byteLength - 4, bits >>> 0)
      add(padding)
      return [...state].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
    },
  }
}

const schedule = 64

function sha256Block(state: Int32Array, words: Int32Array, bytes: Uint8Array, at: number): void {
  for (let i = 0, j = at; i < 16; i++, j += 4)
    words[i] =
      ((bytes[j] as number) << 24) |
      ((bytes[j + 1] as number) << 16) |
      ((bytes[j + 2] as number) << 8) |
      (bytes[j + 3] as number)
  for (let i = 16; i < schedule; i++) {
    const early = words[i - 15] as number
    const late = words[i - 2] as number
    const s0 = ((early >>> 7) | (early << 25)) ^ ((early >>> 18) | (early << 14)) ^ (early >>> 3)
    const s1 = ((late >>> 17) | (late << 15)) ^ ((late >>> 19) | (late << 13)) ^ (late >>> 10)
    words[i] = ((words[i - 16] as number) + s0 + (words[i - 7] as number) + s1) | 0
  }
  // by index: taking a typed array apart by pattern goes through its iterator, at half the speed of all
  let a = state[0] as number
  let b = state[1] as number
  let c = state[2] as number
  let d = state[3] as number
  let e = state[4] as number
  let f = state[5] as number
  let g = state[6] as number
  let h = state[7] as number
  for (let i = 0; i < schedule; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (constants[i] as number) + (words[i] as number)) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  // a typed array adds modulo 2^32 by itself
  state[0] = (state[0] as number) + a
  state[1] = (state[1] as number) + b
  state[2] = (state[2] as number) + c
  state[3] = (state[3] as number) + d
  state[4] = (state[4] as number) + e
  state[5] = (state[5] as number) + f
  state[6] = (state[6] as number) + g
  state[7] = (state[7] as number) + h
}

/** The first 32 bits of the fractional parts of roots of the first primes: as the standard defines its constants. */
function rootBits(count: number, root: (prime: bigint) => bigint): number[] {
  const primes: number[] = []
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes.map((prime) => Number(root(BigInt(prime)) & 0xffffffffn))
}

/** ⌊ⁿ√value⌋ by bisection */
function wholeRoot(value: bigint, power: number): bigint {
  let [low, high] = [0n, value]
  while (low < high) {
    const middle = (low + high + 1n) / 2n
    if (middle ** BigInt(power) <= value) low = middle
    else high = middle - 1n
  }
  return low
}

const initial = rootBits(8, (prime) => wholeRoot(prime << 64n, 2))
const constants = Int32Array.from(rootBits(schedule, (prime) => wholeRoot(prime << 96n, 3)))
