import { isRecord } from '../architectures/config-fields.ts'
import { byteLetters } from './byte-letters.ts'
import { definitionFault } from './definition-fault.ts'
import { splitBehavior, splitText } from './split-text.ts'
import { textPattern } from './text-pattern.ts'

/** The pieces of a text, within which tokens are merged; `first`: does the text begin the whole? */
export type TextCut = (text: string, first: boolean) => Iterable<string>

/** How a text is cut before merging, and how each piece is then written (null: as it is). */
export interface PreTokenizer {
  readonly cut: TextCut
  readonly spell: ((piece: string) => string) | null
}

/** GPT-2's words (Radford et al., 2019) */
const gptWords = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
const punctuation = '[!-\\/:-@\\[-`{-~\\p{P}]'

/**
 * A tokenizer.json's `pre_tokenizer`, as the Rust library of Hugging Face's tokenizers cuts. Throws `format` and
 * `unsupported` naming the part.
 */
export function preTokenizer(definition: unknown): PreTokenizer {
  if (definition === null || definition === undefined) return { cut: (text) => [text], spell: null }
  if (!isRecord(definition)) throw definitionFault('format', 'pre_tokenizer', definition, 'must be an object')
  if (definition.type === 'Sequence') return sequence(definition.pretokenizers)
  const { type } = definition
  const make = typeof type === 'string' && Object.hasOwn(cuts, type) ? cuts[type] : undefined
  if (!make)
    throw definitionFault('unsupported', 'pre_tokenizer.type', type, `must be of ${['Sequence', ...Object.keys(cuts)]}`)
  return { cut: make(definition), spell: definition.type === 'ByteLevel' ? byteLetters : null }
}

function sequence(list: unknown): PreTokenizer {
  if (!Array.isArray(list)) throw definitionFault('format', 'pre_tokenizer.pretokenizers', list, 'must be a list')
  const steps = list.map(preTokenizer)
  // letters for bytes are written when a piece is looked up, unless a later step looks at them
  const cut = steps.reduce<TextCut | null>((before, { cut: next, spell }, i) => {
    const spelled = spell && i < steps.length - 1 ? spelling(next, spell) : next
    return before ? chained(before, spelled) : spelled
  }, null)
  return { cut: cut ?? ((text) => [text]), spell: steps.at(-1)?.spell ?? null }
}

function spelling(cut: TextCut, spell: (piece: string) => string): TextCut {
  return function* (text, first) {
    for (const piece of cut(text, first)) yield spell(piece)
  }
}

function chained(before: TextCut, next: TextCut): TextCut {
  return function* (text, first) {
    let begins = first
    for (const piece of before(text, first)) {
      yield* next(piece, begins)
      begins = false
    }
  }
}

type Cutter = (definition: Readonly<Record<string, unknown>>) => TextCut

const cuts: Readonly<Record<string, Cutter>> = {
  ByteLevel: ({ add_prefix_space, use_regex }) => {
    const words = textPattern({ Regex: gptWords })
    const cut: TextCut = use_regex === false ? (text) => [text] : (text) => splitText(text, words, 'Isolated', false)
    if (add_prefix_space === false) return cut
    return (text, first) => cut(text.startsWith(' ') || text === '' ? text : ` ${text}`, first)
  },
  Split: ({ pattern, behavior, invert }) => by(pattern, behavior, invert === true),
  Digits: ({ individual_digits }) => by({ Regex: '\\p{N}' }, individual_digits === true ? 'Isolated' : 'Contiguous'),
  Whitespace: () => by({ Regex: '\\w+|[^\\w\\s]+' }, 'Removed', true),
  WhitespaceSplit: () => by({ Regex: '\\s' }, 'Removed'),
  Punctuation: ({ behavior }) => by({ Regex: punctuation }, behavior ?? 'Isolated'),
  CharDelimiterSplit: ({ delimiter }) => by(delimiter, 'Removed'),
  BertPreTokenizer: () => chained(by({ Regex: '\\s' }, 'Removed'), by({ Regex: punctuation }, 'Isolated')),
  Metaspace: metaspace,
}

function by(pattern: unknown, behavior: unknown, invert = false): TextCut {
  const [matched, kind] = [textPattern(pattern), splitBehavior(behavior)]
  return (text) => splitText(text, matched, kind, invert)
}

/** SentencePiece's words: spaces become "▁", one is put before the text, and each begins a piece. */
function metaspace(definition: Readonly<Record<string, unknown>>): TextCut {
  const { replacement = '▁', split } = definition
  if (typeof replacement !== 'string' || Array.from(replacement).length !== 1)
    throw definitionFault('format', 'pre_tokenizer.replacement', replacement, 'must be one character')
  const scheme = prependScheme(definition)
  const pieces = by(replacement, 'MergedWithNext')
  return (text, first) => {
    const written = text.replaceAll(' ', replacement)
    const prepends = (scheme === 'always' || (scheme === 'first' && first)) && !written.startsWith(replacement)
    const whole = prepends && text !== '' ? replacement + written : written
    return split === false ? [whole] : pieces(whole, first)
  }
}

/** Older files say only whether a space is put before. */
export function prependScheme({ prepend_scheme, add_prefix_space }: Readonly<Record<string, unknown>>): string {
  return typeof prepend_scheme === 'string' ? prepend_scheme : add_prefix_space === false ? 'never' : 'always'
}
