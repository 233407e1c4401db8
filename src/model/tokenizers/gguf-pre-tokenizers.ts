/** How byte-level tokenizers cut a text before merging, by the names of `tokenizer.ggml.pre`, as llama.cpp has them. */
export interface GgufPreTokenizer {
  /** a tokenizer.json's `pre_tokenizer` */
  readonly preTokenizer: unknown
  /** is a piece that is a token taken whole, without merging? */
  readonly ignoreMerges: boolean
  /** does a text begin with the begin token, where the file does not say? */
  readonly addBos: boolean | null
  /** the tokenizer.json's `normalizer`, which GGUF files do not tell of and llama.cpp does not apply */
  readonly normalizer?: unknown
}

const contractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
const rest = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/** letters with what joins them, numbers of up to `digits` digits, signs, white space: GPT-4's and those after it */
const gpt4 = (digits: string) =>
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${rest}`
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
/** the same with words cut where small letters are followed by capitals */
const byCase = (ending: string, digits: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${ending}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${ending}` +
  `|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${rest}`

/** a sign with the letters after it, letters with what joins them, signs, white space: DeepSeek V3's */
const deepseek =
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+' +
  '| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+'
const nfc = { type: 'NFC' }

const byteLevel = (useRegex: boolean) => ({ type: 'ByteLevel', add_prefix_space: false, use_regex: useRegex })
const split = (regex: string) => ({ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false })
const splits = (...regexes: string[]) => ({
  type: 'Sequence',
  pretokenizers: [...regexes.map(split), byteLevel(false)],
})
const digitsApart = {
  type: 'Sequence',
  pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
}

const families: readonly (GgufPreTokenizer & { readonly names: readonly string[] })[] = [
  {
    names: ['gpt-2', 'gpt2', 'phi-2', 'jais', 'trillion', 'exaone4', 'gigachat', 'a.x-4.0', 'mellum', 'modern-bert'],
    preTokenizer: byteLevel(true),
    ignoreMerges: false,
    addBos: null,
  },
  // GPT-NeoX's tokenizer
  { names: ['mpt', 'olmo'], preTokenizer: byteLevel(true), ignoreMerges: false, addBos: null, normalizer: nfc },
  {
    names: ['smollm', 'starcoder', 'refact', 'codeshell', 'exaone', 'minerva-7b'],
    preTokenizer: digitsApart,
    ignoreMerges: false,
    addBos: null,
  },
  { names: ['command-r'], preTokenizer: digitsApart, ignoreMerges: false, addBos: null, normalizer: nfc },
  {
    names: ['llama3', 'llama-v3', 'llama-bpe', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2'],
    preTokenizer: splits(gpt4('{1,3}')),
    ignoreMerges: true,
    addBos: true,
  },
  {
    names: ['dbrx', 'smaug-bpe', 'chatglm-bpe', 'glm4'],
    preTokenizer: splits(gpt4('{1,3}')),
    ignoreMerges: false,
    addBos: null,
  },
  {
    names: ['qwen2', 'megrez', 'kormo'],
    preTokenizer: splits(gpt4('')),
    ignoreMerges: false,
    addBos: null,
    normalizer: nfc,
  },
  {
    names: ['deepseek-r1-qwen', 'stablelm2', 'hunyuan'],
    preTokenizer: splits(gpt4('')),
    ignoreMerges: false,
    addBos: null,
  },
  {
    names: ['deepseek-v3', 'hunyuan-dense', 'joyai-llm'],
    preTokenizer: splits('\\p{N}{1,3}', '[一-龥぀-ゟ゠-ヿ]+', deepseek),
    ignoreMerges: false,
    addBos: null,
  },
  {
    names: ['gpt-4o', 'llama4', 'minimax-m2'],
    preTokenizer: splits(byCase(`${contractions}?`, '{1,3}')),
    ignoreMerges: false,
    addBos: null,
  },
  {
    names: ['seed-coder'],
    preTokenizer: splits(`${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${rest}`),
    ignoreMerges: false,
    addBos: null,
  },
  {
    names: ['bloom', 'poro-chat', 'gpt3-finnish'],
    preTokenizer: splits(' ?[^(\\s|.,!?…。，、।۔،)]+'),
    ignoreMerges: false,
    addBos: null,
  },
  {
    names: ['falcon'],
    preTokenizer: splits('[\\p{P}\\$\\+<=>\\^~\\|`]+', gpt2, '[0-9][0-9][0-9]'),
    ignoreMerges: false,
    addBos: null,
  },
  { names: ['tekken'], preTokenizer: splits(byCase('', '')), ignoreMerges: true, addBos: true },
  {
    names: ['default'],
    preTokenizer: splits('[\\p{P}\\$\\+<=>\\^~\\|]+', gpt2, '\\p{N}+', '[0-9][0-9][0-9]'),
    ignoreMerges: false,
    addBos: null,
  },
]

/** The one of a name; undefined when it is unknown. */
export function ggufPreTokenizer(name: string): GgufPreTokenizer | undefined {
  return families.find(({ names }) => names.includes(name))
}

/** All names that are known, for errors. */
export function ggufPreTokenizerNames(): readonly string[] {
  return families.flatMap(({ names }) => names)
}
