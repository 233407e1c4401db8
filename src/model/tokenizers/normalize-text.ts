import { isRecord } from '../architectures/config-fields.ts'
import { byteLetters } from './byte-letters.ts'
import { definitionFault } from './definition-fault.ts'
import { precompiledCharsmap } from './precompiled-charsmap.ts'
import { matchesOf, textPattern } from './text-pattern.ts'

export type TextRewrite = (text: string) => string

const begin = /^[\t-\r\x20\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+/
const end = /[\t-\r\x20\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+$/
const ideographs =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu

/**
 * What a tokenizer.json's `normalizer` does to a text before it is cut, null for nothing, as the Rust library of Hugging
 * Face's tokenizers does it. Throws `format` and `unsupported` naming the part.
 */
export function textNormalizer(definition: unknown): TextRewrite | null {
  if (definition === null || definition === undefined) return null
  if (!isRecord(definition)) throw definitionFault('format', 'normalizer', definition, 'must be an object')
  const { type } = definition
  const make = typeof type === 'string' && Object.hasOwn(normalizers, type) ? normalizers[type] : undefined
  if (!make) throw definitionFault('unsupported', 'normalizer.type', type, `must be of ${Object.keys(normalizers)}`)
  return make(definition)
}

const normalizers: Readonly<Record<string, (definition: Readonly<Record<string, unknown>>) => TextRewrite | null>> = {
  Sequence: ({ normalizers: list }) => {
    if (!Array.isArray(list)) throw definitionFault('format', 'normalizer.normalizers', list, 'must be a list')
    const steps = list.map(textNormalizer).filter((step) => step !== null)
    return steps.length === 0 ? null : (text) => steps.reduce((so, step) => step(so), text)
  },
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  Lowercase: () => lowercase,
  Strip: ({ strip_left, strip_right }) => {
    return (text) => {
      const left = strip_left === false ? text : text.replace(begin, '')
      return strip_right === false ? left : left.replace(end, '')
    }
  },
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
  Prepend: ({ prepend }) => {
    if (typeof prepend !== 'string') throw definitionFault('format', 'normalizer.prepend', prepend, 'must be a string')
    return (text) => (text === '' ? '' : prepend + text)
  },
  Replace: ({ pattern, content }) => {
    if (typeof content !== 'string') throw definitionFault('format', 'normalizer.content', content, 'must be a string')
    return replacing(pattern, content)
  },
  Nmt: () => (text) =>
    text
      .replace(/(?![\0\t\n\f\r\x80-\x8E\x90-\x9E])\p{Cc}/gu, '')
      .replace(/[\t\n\f\r\u1680\u200B-\u200F\u2028\u2029\u2581\uFEFF\uFFFD]/g, ' '),
  BertNormalizer: bert,
  ByteLevel: () => byteLetters,
  Precompiled: ({ precompiled_charsmap }) => precompiledCharsmap(precompiled_charsmap),
}

/** Every match of a pattern becomes `content`, letter for letter. */
export function replacing(pattern: unknown, content: string): TextRewrite {
  const matched = textPattern(pattern)
  return (text) => {
    let out = ''
    let at = 0
    for (const match of matchesOf(matched, text)) {
      out += text.slice(at, match.start) + content
      at = match.end
    }
    return at === 0 && out === '' ? text : out + text.slice(at)
  }
}

/** Letter by letter: a sigma at the end of a word is as any other. */
function lowercase(text: string): string {
  return text.includes('Σ')
    ? text
        .split('Σ')
        .map((part) => part.toLowerCase())
        .join('σ')
    : text.toLowerCase()
}

function bert(definition: Readonly<Record<string, unknown>>): TextRewrite {
  const lower = definition.lowercase !== false
  const accents = typeof definition.strip_accents === 'boolean' ? definition.strip_accents : lower
  return (text) => {
    let out = text
    if (definition.clean_text !== false)
      out = out.replace(/(?![\t\n\r])[\p{C}\uFFFD]/gu, '').replace(/[\t\n\r\p{Z}]/gu, ' ')
    if (definition.handle_chinese_chars !== false) out = out.replace(ideographs, ' $& ')
    if (accents) out = out.normalize('NFD').replace(/\p{Mn}/gu, '')
    return lower ? lowercase(out) : out
  }
}
