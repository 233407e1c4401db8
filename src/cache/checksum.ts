/** bytes of a checksum */
export const checksumBytes = 16

/**
 * A checksum of `bytes`, whose offset is a multiple of 4: four times 32 bits, each of every fourth word. A word enters its
 * lane by steps that can be undone, so that a change within one word, such as a flipped bit or byte, always changes the
 * result; other changes go unseen about once in 2³². It is fast and no protection against intent. `seed` tells apart equal
 * bytes that stand in different places.
 */
export function checksum(bytes: Uint8Array, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
  let [a, b, c, d] = [seed ^ 0x243f6a88, seed ^ 0x85a308d3, seed ^ 0x13198a2e, seed ^ 0x03707344]
  const whole = words.length & ~3
  for (let i = 0; i < whole; i += 4) {
    a = step(a, words[i] as number)
    b = step(b, words[i + 1] as number)
    c = step(c, words[i + 2] as number)
    d = step(d, words[i + 3] as number)
  }
  for (let i = whole; i < words.length; i++) a = step(a, words[i] as number)
  for (let i = words.length << 2; i < bytes.byteLength; i++) b = step(b, bytes[i] as number)
  // a result for every length
  d = step(d, bytes.byteLength)
  // the bytes of a word in one order on every machine, like the words themselves (all that run this are little-endian)
  const result = new Uint8Array(checksumBytes)
  new Int32Array(result.buffer).set([finish(a), finish(b), finish(c), finish(d)])
  return result
}

function step(lane: number, word: number): number {
  const mixed = Math.imul(lane ^ word, 0x9e3779b1)
  return (mixed << 13) | (mixed >>> 19)
}

function finish(lane: number): number {
  const mixed = Math.imul(lane ^ (lane >>> 15), 0x85ebca77)
  return mixed ^ (mixed >>> 13)
}
