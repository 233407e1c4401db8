/** x rounded to the nearest integer, half to even: ggml's nearest_int, for |x| below 2^22. */
export function nearestInteger(x: number): number {
  // adding 1.5 · 2^23 in f32 leaves no bits for a fraction
  return Math.fround(Math.fround(x) + 12582912) - 12582912
}
