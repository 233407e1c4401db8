import type { Draw } from './draw.ts'

/** Integers that programs have stumbled over: none, limits of types, what only looks like a length. */
export const absurdIntegers: readonly bigint[] = [
  0n,
  1n,
  2n,
  255n,
  65_535n,
  2n ** 20n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  10n ** 12n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 1n,
]

/**
 * A damaged copy of a file: bits flipped, bytes drawn anew, its end cut off or longer, pieces moved, doubled, left out or
 * exchanged, absurd integers where numbers may stand. Most changes fall into the first `header` bytes, and on `fields`,
 * where the file is known to have integers of the given width.
 */
export function mutateBytes(
  bytes: Uint8Array,
  header: number,
  draw: Draw,
  fields: readonly { readonly at: number; readonly width: 4 | 8 }[] = [],
): Uint8Array {
  let result: Uint8Array = bytes.slice()
  const changes = draw.pick([1, 1, 1, 2, 3, 8])
  for (let i = 0; i < changes; i++) result = mutateOnce(result, header, draw, fields)
  return result
}

function mutateOnce(
  bytes: Uint8Array,
  header: number,
  draw: Draw,
  fields: readonly { readonly at: number; readonly width: 4 | 8 }[],
): Uint8Array {
  const size = bytes.byteLength
  if (size === 0) return bytes
  const place = () => draw.below(draw.chance(0.85) ? Math.min(header, size) : size)
  const piece = () => {
    const from = place()
    return { from, to: Math.min(size, from + 1 + draw.below(draw.pick([4, 16, 64, 512]))) }
  }
  const joined = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
  switch (draw.below(fields.length > 0 ? 12 : 9)) {
    case 0: {
      const at = place()
      bytes[at] = (bytes[at] ?? 0) ^ (1 << draw.below(8))
      return bytes
    }
    case 1:
      bytes[place()] = draw.below(256)
      return bytes
    case 2:
      return bytes.slice(0, place())
    case 3:
      return joined(bytes, new Uint8Array(1 + draw.below(64)).fill(draw.pick([0, 255])))
    case 4: {
      const { from, to } = piece()
      bytes.copyWithin(place(), from, to)
      return bytes
    }
    case 5: {
      const { from, to } = piece()
      return joined(bytes.subarray(0, from), bytes.subarray(to))
    }
    case 6: {
      const { from, to } = piece()
      return joined(bytes.subarray(0, to), bytes.subarray(from))
    }
    case 7:
      return withInteger(bytes, place(), draw.pick([4, 8]), draw)
    case 8: {
      const [a, b] = [place(), place()]
      const first = bytes.slice(a, a + 8)
      bytes.copyWithin(a, b, b + 8)
      bytes.set(first.subarray(0, Math.min(first.byteLength, size - b)), b)
      return bytes
    }
    default: {
      const { at, width } = draw.pick(fields)
      return withInteger(bytes, at, width, draw)
    }
  }
}

/** The integer at a place replaced by an absurd one, or moved a little. */
function withInteger(bytes: Uint8Array, at: number, width: 4 | 8, draw: Draw): Uint8Array {
  if (at + width > bytes.byteLength) return bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const old = width === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true)
  const value = draw.chance(0.4) ? old + BigInt(draw.below(9) - 4) : draw.pick(absurdIntegers)
  if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true)
  else view.setBigUint64(at, BigInt.asUintN(64, value), true)
  return bytes
}
