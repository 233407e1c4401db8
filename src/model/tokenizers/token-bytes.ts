import { isRecord } from '../architectures/config-fields.ts'

/** How the tokens of a vocabulary stand for bytes, told from the decoder of a tokenizer.json. */
export interface TokenBytes {
  of(token: string): Uint8Array
  /** is a space that begins the text left out, because encoding has put it there? */
  readonly stripsFirstSpace: boolean
}

/**
 * Byte-level tokenizers (GPT-2 and most since) write each byte as a letter; SentencePiece ones write spaces as "▁" and
 * single bytes as "<0x0A>". Gives null for a decoder that is neither.
 */
export function tokenBytes(decoder: unknown): TokenBytes | null {
  const steps = decoderSteps(decoder)
  const types = steps.map((step) => step.type)
  if (types.includes('ByteLevel')) {
    const bytes = bytesByLetter()
    return { of: (token) => byteLevelBytes(token, bytes), stripsFirstSpace: false }
  }
  const metaspace = steps.find((step) => step.type === 'Metaspace')
  const replaces = steps.some((step) => step.type === 'Replace' && step.content === ' ')
  if (!metaspace && !replaces && !types.includes('ByteFallback')) return null
  const strips = steps.some((step) => step.type === 'Strip' && step.content === ' ' && step.start === 1)
  const prepends = metaspace !== undefined && metaspace.prepend_scheme !== 'never'
  return { of: sentencePieceBytes, stripsFirstSpace: strips || prepends }
}

function decoderSteps(decoder: unknown): readonly Record<string, unknown>[] {
  if (!isRecord(decoder)) return []
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap(decoderSteps) : [decoder]
}

/** A token whose letters do not all stand for bytes is itself, as added tokens are. */
function byteLevelBytes(token: string, bytesOf: ReadonlyMap<string, number>): Uint8Array {
  const bytes = Array.from(token, (letter) => bytesOf.get(letter))
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : new TextEncoder().encode(token)
}

function sentencePieceBytes(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1]
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16))
  return new TextEncoder().encode(token.replaceAll('▁', ' '))
}

/** GPT-2's letters for bytes: printable ones stand for themselves, the others for those from U+0100 on, in order. */
export function bytesByLetter(): ReadonlyMap<string, number> {
  const letters = new Map<string, number>()
  let next = 0x100
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    letters.set(String.fromCodePoint(printable ? byte : next++), byte)
  }
  return letters
}
