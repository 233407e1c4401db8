import type { BlockFormat, FittedBlock } from '../../src/nn/block-formats/block-format.ts'
import { asHalf, writeBlocks } from '../../src/nn/block-formats/write-blocks.ts'

/** Values in any format of blocks, not as well as can be: each group's scale from its largest value, the nearest codes. */
export function plainBlocks(format: BlockFormat, values: Float32Array): Uint8Array {
  const { quantPlaces, table } = format
  const codes = Array.from({ length: 2 ** quantPlaces.bits }, (_, q) => (table ? table[q]! : q - quantPlaces.minus))
  return writeBlocks(format, values, (block) => fitBlock(format, codes, block))
}

function fitBlock(format: BlockFormat, codes: readonly number[], x: Float32Array): FittedBlock {
  const { group, groups, scalePlaces, offset, offsetPlaces } = format
  const rows = Array.from({ length: groups }, (_, g) => x.subarray(g * group, (g + 1) * group))
  const minima = rows.map((row) => (offset ? Math.max(0, -Math.min(...row)) : 0))
  const scales = rows.map((row, g) => Math.max(...row.map((v) => Math.abs(v + minima[g]!))) / Math.max(...codes))
  const whole = (list: readonly number[], bits: number, minus: number) => {
    const top = 2 ** bits - 1 - minus
    const factor = asHalf(Math.max(...list) / top)
    return { factor, numbers: list.map((v) => (factor ? Math.min(top, Math.round(v / factor)) : 0)) }
  }
  const alone = (list: readonly number[]) => ({ factor: asHalf(list[0]!), numbers: list.map(() => 1) })
  const s = scalePlaces ? whole(scales, scalePlaces.bits, scalePlaces.minus) : alone(scales)
  const m = offsetPlaces ? whole(minima, offsetPlaces.bits, offsetPlaces.minus) : alone(minima)
  const quants = Uint8Array.from(x, (v, i) => {
    const g = Math.floor(i / group)
    const code = (q: number) => s.factor * s.numbers[g]! * codes[q]! - m.factor * m.numbers[g]!
    let best = 0
    for (let q = 1; q < codes.length; q++) if (Math.abs(code(q) - v) < Math.abs(code(best) - v)) best = q
    return best
  })
  return {
    factor: s.factor,
    quants,
    scales: s.numbers.map((number) => number + (scalePlaces?.minus ?? 0)),
    offset: m.factor,
    minima: m.numbers,
  }
}
