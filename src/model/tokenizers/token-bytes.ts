import { isRecord } from '../architectures/config-fields.ts'
import { bytesByLetter } from './byte-letters.ts'
import { definitionFault } from './definition-fault.ts'
import { replacing } from './normalize-text.ts'
import { prependScheme } from './pre-tokenizer.ts'

/** The bytes of UTF-8 that a token stands for; `first`: as the first of a text, whose space encoding has put there. */
export type TokenBytes = (token: string, first: boolean) => Uint8Array

const encoder = new TextEncoder()

/**
 * How tokens stand for bytes, from a tokenizer.json's `decoder`, as the Rust library of Hugging Face's tokenizers decodes:
 * byte-level ones (GPT-2 and most since) write each byte as a letter; SentencePiece ones write spaces as "▁" and single
 * bytes as "<0x0A>"; WordPiece puts a space before all but the first and what begins with "##". Without a decoder there is
 * a space between tokens.
 *
 * One thing is done otherwise: of bytes that make no text only those that do not are replaced by U+FFFD, not the whole run,
 * so that a text decoded token by token is the text decoded at once. Throws `unsupported` for a decoder of another type.
 */
export function tokenBytes(decoder: unknown): TokenBytes {
  const steps = decoderSteps(decoder)
  if (steps.length === 0) return (token, first) => encoder.encode(first ? token : ` ${token}`)
  const byteLevel = steps.some((step) => step.type === 'ByteLevel')
  const spelled = steps.some((step) => step.type === 'ByteFallback')
  const rewrites = steps.map(rewriteOf).filter((rewrite) => rewrite !== null)
  const letters = bytesByLetter()
  return (token, first) => {
    const hex = spelled ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1] : undefined
    const byte = hex === undefined ? -1 : Number.parseInt(hex, 16)
    if (byte >= 0x80) return Uint8Array.of(byte)
    const own = byte >= 0 ? String.fromCharCode(byte) : token
    const text = rewrites.reduce((so, rewrite) => rewrite(so, first), own)
    return byteLevel ? byteLevelBytes(text, letters) : encoder.encode(text)
  }
}

type Step = Readonly<Record<string, unknown>>

function decoderSteps(decoder: unknown): readonly Step[] {
  if (decoder === null || decoder === undefined) return []
  if (!isRecord(decoder)) throw definitionFault('format', 'decoder', decoder, 'must be an object')
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap(decoderSteps) : [decoder]
}

/** What a step does to the text of a token, null for what is done elsewhere or joins tokens. */
function rewriteOf(step: Step): ((text: string, first: boolean) => string) | null {
  switch (step.type) {
    case 'ByteLevel':
    case 'ByteFallback':
    case 'Fuse':
      return null
    case 'Replace': {
      const rewrite = replacing(step.pattern, String(step.content))
      return (text) => rewrite(text)
    }
    case 'Strip':
      return stripped(step)
    case 'Metaspace': {
      const mark = typeof step.replacement === 'string' ? step.replacement : '▁'
      const drops = prependScheme(step) !== 'never'
      return (text, first) => text.replaceAll(mark, first && drops ? '' : ' ')
    }
    case 'WordPiece': {
      const prefix = typeof step.prefix === 'string' ? step.prefix : '##'
      const joined = (text: string, first: boolean) =>
        first ? text : text.startsWith(prefix) ? text.slice(prefix.length) : ` ${text}`
      return step.cleanup === false ? joined : (text, first) => cleaned(joined(text, first))
    }
    default:
      throw definitionFault('unsupported', 'decoder.type', step.type, 'must be ByteLevel, Metaspace or WordPiece')
  }
}

/** Without the spaces before signs and endings that cutting has put there. */
function cleaned(text: string): string {
  return text
    .replace(/ ([.?!,]|n't|'m|'s|'ve|'re)/g, '$1')
    .replaceAll(" ' ", "'")
    .replaceAll(' do not', " don't")
}

/** Letters left out at the begin of the text, as many as `start` says. At its end nothing is: that may go on. */
function stripped({ content, start, stop }: Step): (text: string, first: boolean) => string {
  if (typeof content !== 'string' || content === '' || typeof start !== 'number' || (stop !== 0 && stop !== undefined))
    throw definitionFault('unsupported', 'decoder', { content, start, stop }, 'must strip a letter at the begin only')
  return (text, first) => {
    let at = 0
    while (first && at < start * content.length && text.startsWith(content, at)) at += content.length
    return text.slice(at)
  }
}

/** A token whose letters do not all stand for bytes is itself, as added tokens are. */
function byteLevelBytes(token: string, bytesOf: ReadonlyMap<string, number>): Uint8Array {
  const bytes = Array.from(token, (letter) => bytesOf.get(letter))
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : encoder.encode(token)
}
