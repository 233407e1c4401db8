import { bytesByLetter } from '../../model/tokenizers/byte-letters.ts'
import type { TokenizerDefinition } from '../../model/tokenizers/json-tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { countWords, type WordCounts } from './count-words.ts'
import { learnMerges, type MergeCorpus } from './learn-merges.ts'

export interface TrainTokenizerOptions {
  /** each is a text of its own: no word reaches from one into the next */
  readonly texts: Iterable<string> | AsyncIterable<string>
  /** tokens of the vocabulary: special ones, 256 bytes, and merges */
  readonly vocabSize: number
  /** the first ids (<|begin|>, <|end|>, <|user|>, <|assistant|>) */
  readonly specialTokens?: readonly string[]
  /** each digit a token of its own (true) */
  readonly splitDigits?: boolean
  /** characters of the texts read so far */
  readonly onProgress?: (characters: number) => void
}

export const defaultSpecialTokens: readonly string[] = ['<|begin|>', '<|end|>', '<|user|>', '<|assistant|>']

/**
 * A byte-level BPE tokenizer (Radford et al., 2019), as an object of Hugging Face's tokenizer.json: GPT-2's words, every
 * byte a token, then merges of the most frequent pair of neighbours (see `learnMerges`, ties included). The same texts give
 * the same tokenizer. Rejects with `argument` for a vocabulary too small for the bytes, too large for the texts, or special
 * tokens that are empty or given twice.
 */
export async function trainTokenizer(options: TrainTokenizerOptions): Promise<TokenizerDefinition> {
  checkFields('trainTokenizer', 'options', options, fields)
  const { texts, vocabSize, specialTokens = defaultSpecialTokens, splitDigits = true } = options
  const least = specialTokens.length + 256
  if (!Number.isSafeInteger(vocabSize) || vocabSize < least || vocabSize > 2 ** 20)
    throw failed(
      `vocabSize must be a whole number from ${least} (special tokens and bytes) to 1048576, got ${vocabSize}`,
    )
  const doubled = specialTokens.find((token, index) => token === '' || specialTokens.indexOf(token) !== index)
  if (doubled !== undefined) throw failed(`special token ${JSON.stringify(doubled)} is empty or given twice`)

  const counts: WordCounts = new Map()
  let characters = 0
  for await (const text of texts) {
    countWords(counts, text, splitDigits)
    characters += text.length
    options.onProgress?.(characters)
  }

  const letters = [...bytesByLetter()].sort(([a], [b]) => (a < b ? -1 : 1))
  const vocabulary = [...specialTokens, ...letters.map(([letter]) => letter)]
  const idOfByte = new Int32Array(256)
  for (const [index, [, byte]] of letters.entries()) idOfByte[byte] = specialTokens.length + index

  const ids = new Map(vocabulary.map((text, id) => [text, id]))
  const merges: [string, string][] = []
  learnMerges(corpusOf(counts, idOfByte), (left, right) => {
    if (vocabulary.length === vocabSize) return null
    const pair: [string, string] = [vocabulary[left] as string, vocabulary[right] as string]
    merges.push(pair)
    const text = pair[0] + pair[1]
    const known = ids.get(text)
    if (known !== undefined) return known
    ids.set(text, vocabulary.length)
    return vocabulary.push(text) - 1
  })
  if (vocabulary.length < vocabSize)
    throw failed(
      `the texts (${characters} characters, ${counts.size} different words) give ${vocabulary.length} tokens, not ${vocabSize}`,
    )
  return definitionOf(vocabulary, merges, specialTokens, splitDigits)
}

/** Words as tokens of single bytes, in the order in which they were met. */
function corpusOf(words: WordCounts, idOfByte: Int32Array): MergeCorpus {
  const encoder = new TextEncoder()
  const starts = new Int32Array(words.size + 1)
  const counts = new Float64Array(words.size)
  const parts: Uint8Array[] = []
  let index = 0
  for (const [word, count] of words) {
    const bytes = encoder.encode(word)
    parts.push(bytes)
    counts[index] = count
    starts[index + 1] = (starts[index] as number) + bytes.length
    index++
  }
  const tokens = new Int32Array(starts[words.size] as number)
  for (const [word, bytes] of parts.entries())
    for (let i = 0; i < bytes.length; i++) tokens[(starts[word] as number) + i] = idOfByte[bytes[i] as number] as number
  return { tokens, starts, counts }
}

function definitionOf(
  vocabulary: readonly string[],
  merges: readonly (readonly [string, string])[],
  specialTokens: readonly string[],
  splitDigits: boolean,
): TokenizerDefinition {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const digits = { type: 'Digits', individual_digits: true }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: splitDigits ? { type: 'Sequence', pretokenizers: [digits, byteLevel] } : byteLevel,
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((text, id) => [text, id])),
      merges,
    },
  }
}

function failed(message: string): FoveaError {
  return new FoveaError('argument', 'trainTokenizer', message)
}

const fields: FieldsOf<TrainTokenizerOptions> = {
  texts: true,
  vocabSize: true,
  specialTokens: true,
  splitDigits: true,
  onProgress: true,
}
