import { checksum, checksumBytes } from '../../src/cache/checksum.ts'
import type { Draw } from './draw.ts'
import { absurdIntegers, mutateBytes } from './mutate-bytes.ts'
import { mutateJson } from './mutate-json.ts'

const preamble = 16

/**
 * A saved prefix whose content was changed by somebody who knows its checksums: description, tokens or pages are damaged,
 * lengths lie, and each part is followed by the checksum of what it then is.
 */
export function mendedPrefix(bytes: Uint8Array, draw: Draw): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const described = view.getUint32(12, true)
  const text = Buffer.from(bytes.subarray(preamble, preamble + described)).toString()
  const { tokens } = JSON.parse(text)
  let at = preamble + described + checksumBytes
  let stored = bytes.slice(at, at + 4 * tokens)
  at += 4 * tokens + checksumBytes
  // planes of the same size follow one another: one chunk each
  const rest = bytes.subarray(at)
  const planes = 2 * JSON.parse(text).layers.length
  const each = rest.byteLength / planes
  const pages = Array.from({ length: planes }, (_, i) => rest.slice(i * each, (i + 1) * each - checksumBytes))

  let description: Uint8Array = new TextEncoder().encode(text)
  let announced: number | null = null
  switch (draw.below(6)) {
    case 0:
    case 1:
      description = mutateJson(text, draw)
      break
    case 2: {
      const changed = { ...JSON.parse(text), tokens: Number(draw.pick(absurdIntegers)) }
      description = new TextEncoder().encode(JSON.stringify(changed))
      break
    }
    case 3:
      stored = mutateBytes(stored, stored.byteLength, draw) as typeof stored
      break
    case 4: {
      const which = draw.below(planes)
      const page = pages[which] ?? new Uint8Array()
      pages[which] = mutateBytes(page, page.byteLength, draw) as typeof page
      break
    }
    default:
      announced = Number(BigInt.asUintN(32, draw.pick(absurdIntegers)))
  }
  const padded = new Uint8Array(Math.ceil(description.byteLength / 4) * 4).fill(0x20)
  padded.set(description)
  const header = new Uint8Array(preamble + padded.byteLength)
  header.set(bytes.subarray(0, preamble))
  new DataView(header.buffer).setUint32(12, announced ?? padded.byteLength, true)
  header.set(padded, preamble)
  const parts = [header, stored, ...pages]
  return new Uint8Array(Buffer.concat(parts.flatMap((part, seed) => [part, checksum(part.slice(), seed)])))
}
