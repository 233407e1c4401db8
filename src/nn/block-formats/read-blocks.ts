import { fromHalfBits } from '../../tile/index.ts'
import { type BlockFormat, type FactorKind, readNumber } from './block-format.ts'

/** The first `count` elements of blocks, each product and difference rounded to f32, as ggml computes them. */
export function readBlocks(format: BlockFormat, bytes: Uint8Array, count: number): Float32Array {
  const { elements, bytes: blockBytes, group, groups, table, float, quantPlaces, scalePlaces, factor } = format
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Float32Array(count)
  for (let block = 0, at = 0; block < count; block += elements, at += blockBytes) {
    const d = readFactor(view, at + factor.at, factor.as)
    for (let g = 0; g < groups; g++) {
      const scale = scalePlaces ? Math.fround(d * readNumber(scalePlaces, bytes, at, g)) : d
      const offset = readOffset(format, view, bytes, at, g, d)
      const end = Math.min((g + 1) * group, count - block)
      for (let i = g * group; i < end; i++) {
        const quant = readNumber(quantPlaces, bytes, at, i)
        values[block + i] = Math.fround(scale * (table ? table[quant]! : float ? float.read(quant) : quant)) - offset
      }
    }
  }
  return values
}

/** What is taken off the elements of a group. */
function readOffset(
  { offset, offsetPlaces }: BlockFormat,
  view: DataView,
  bytes: Uint8Array,
  at: number,
  group: number,
  factor: number,
): number {
  if (!offset) return 0
  if (offset.kind === 'sum') return -readFactor(view, at + offset.at, 'f16')
  const number = offsetPlaces ? readNumber(offsetPlaces, bytes, at, group) : 0
  return Math.fround((offset.kind === 'zero' ? factor : readFactor(view, at + offset.at, 'f16')) * number)
}

function readFactor(view: DataView, at: number, as: FactorKind): number {
  if (as === 'f16') return fromHalfBits(view.getUint16(at, true))
  return as === 'f32' ? view.getFloat32(at, true) : 2 ** (view.getUint8(at) - 128)
}
