/** Numbers that are the same in every run: `numbers` in −scale … scale as f32, `integers` from 0 up to below `most`. */
export function seededRandom(seed: number) {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return {
    numbers: (n: number, scale = 1) => Array.from({ length: n }, () => Math.fround(scale * (2 * next() - 1))),
    integers: (n: number, most: number) => Array.from({ length: n }, () => Math.floor(next() * most)),
  }
}
