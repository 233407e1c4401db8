/** `count` numbers drawn from a normal distribution; the same seed gives the same numbers on every machine. */
export function randomNormal(count: number, seed: number): Float32Array<ArrayBuffer> {
  const next = uniform(seed)
  const values = new Float32Array(count)
  // Box and Muller: two numbers from one radius
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()))
    const angle = 2 * Math.PI * next()
    values[i] = radius * Math.cos(angle)
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle)
  }
  return values
}

/** mulberry32: uniform in [0, 1). */
function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
