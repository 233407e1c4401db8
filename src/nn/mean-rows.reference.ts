/** Means over runs of rows: x [N, D], bounds [S, 2]; a row outside x counts as zeros. */
export function meanRowsReference(x: Float64Array, D: number, bounds: readonly (readonly [number, number])[]) {
  const N = x.length / D
  const output = new Float64Array(bounds.length * D)
  for (const [s, [from, to]] of bounds.entries())
    for (let d = 0; d < D; d++) {
      let sum = 0
      for (let n = Math.max(0, from); n < Math.min(N, to); n++) sum += x[n * D + d] as number
      output[s * D + d] = to > from ? sum / (to - from) : 0
    }
  return output
}
