import { definitionFault } from './definition-fault.ts'

/**
 * SentencePiece's `precompiled_charsmap`, in base64: the length of a double-array trie in bytes, the trie (darts-clone's
 * units of 32 bits), and the texts that its values point to, each ended by a zero. Applied as Hugging Face's tokenizers do:
 * to a grapheme as a whole where it has less than 6 bytes, else to each of its characters.
 */
export function precompiledCharsmap(base64: unknown): (text: string) => string {
  const wrong = (message: string) => definitionFault('format', 'normalizer.precompiled_charsmap', base64, message)
  if (typeof base64 !== 'string') throw wrong('must be a text in base64')
  const bytes = bytesOf(base64)
  const size = bytes && bytes.length >= 4 ? new DataView(bytes.buffer).getUint32(0, true) : -1
  if (!bytes || size < 4 || size % 4 !== 0 || 4 + size > bytes.length) throw wrong('must hold a trie and texts')
  const units = new Uint32Array(bytes.buffer.slice(4, 4 + size))
  const texts = bytes.subarray(4 + size)
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder('utf-8', { ignoreBOM: true })]

  /** The text for the shortest beginning of the letters that has one. */
  const rewritten = (key: Uint8Array): string | null => {
    let at = offsetOf(units[0] ?? 0)
    for (const byte of key) {
      if (byte === 0) return null
      at ^= byte
      const unit = units[at] ?? 0
      // the label, and the bit that marks a value
      if ((unit & 0x800000ff) >>> 0 !== byte) return null
      at ^= offsetOf(unit)
      if (((unit >>> 8) & 1) === 0) continue
      const start = (units[at] ?? 0) & 0x7fffffff
      const end = texts.indexOf(0, start)
      return decoder.decode(texts.subarray(start, end < 0 ? texts.length : end))
    }
    return null
  }
  const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })
  return (text) => {
    let out = ''
    for (const { segment } of segmenter.segment(text)) {
      const key = encoder.encode(segment)
      const whole = key.length < 6 ? rewritten(key) : null
      if (whole !== null) out += whole
      else for (const letter of segment) out += rewritten(encoder.encode(letter)) ?? letter
    }
    return out
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6)
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  } catch {
    return null
  }
}
