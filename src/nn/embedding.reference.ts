/** output[n] = scale · table[ids[n]] + positionTable[positions[n]]; rows outside their table are zeros. */
export function embedReference(input: {
  readonly C: number
  readonly table: Float64Array // [V, C]
  readonly ids: readonly number[]
  readonly scale: number
  readonly positionTable: Float64Array | null // [P, C]
  readonly positions: readonly number[] | null
}): Float64Array {
  const { C, table, ids, scale, positionTable, positions } = input
  return Float64Array.from({ length: ids.length * C }, (_, i) => {
    const [n, c] = [Math.floor(i / C), i % C]
    const at = (rows: Float64Array, row: number | undefined) => rows[(row as number) * C + c] ?? 0
    return scale * at(table, ids[n]) + (positionTable && positions ? at(positionTable, positions[n]) : 0)
  })
}
