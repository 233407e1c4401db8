import { FoveaError } from '../../tile/index.ts'
import { isRecord, shown } from '../architectures/config-fields.ts'
import type { ChatTemplate } from '../chat-template.ts'
import type { GgufTable } from '../files/gguf.ts'
import { parseJson } from '../files/parse-json.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { ggufEndTokens } from './gguf-end-tokens.ts'
import { ggufPreTokenizer, ggufPreTokenizerNames } from './gguf-pre-tokenizers.ts'
import { jsonTokenizer, type TokenizerDefinition } from './json-tokenizer.ts'
import { type ModelTokens, missingTokenizer } from './missing-tokenizer.ts'
import { scoreMerges } from './score-merges.ts'

/** kinds of tokens in `tokenizer.ggml.token_type` that stand for themselves wherever they occur */
const unknown = 2
const control = 3
const userDefined = 4
/** models of llama.cpp whose tokenizers are none of a decoder's here */
const otherModels: Readonly<Record<string, string>> = {
  t5: 'unigram',
  rwkv: 'RWKV',
  plamo2: 'PLaMo 2',
}

/**
 * The tokenizer of a GGUF file, made into the tokenizer.json that it came from: "gpt2" is byte-level BPE with merges and
 * a named way of cutting the text, "llama" SentencePiece BPE with scores and byte tokens, "bert" WordPiece. A file that carries its
 * tokenizer.json (`tokenizer.huggingface.json`) is taken at that. One that refuses to encode where there is none.
 *
 * What is silent in a file is as llama.cpp takes it: begin token, end tokens known by their names, scores of 0; of two
 * tokens with one text the first is meant. The normaliser that the models of a name have is applied (llama.cpp has none).
 *
 * Throws `format` naming file and key: an unknown model or way of cutting, lists of the wrong type or length; `unsupported`
 * for the tokenizers of other models (unigram).
 */
export function ggufTokenizer(
  table: GgufTable,
  spec: ModelTokens,
  chatTemplate: ChatTemplate | null = null,
): Tokenizer {
  const get = (key: string) => table.metadata.get(`tokenizer.${key}`)
  const model = get('ggml.model')
  const carried = carriedDefinition(table, get('huggingface.json'))
  if (!carried && (model === undefined || model === 'none' || model === 'no_vocab'))
    return missingTokenizer(table.source, spec)
  const make = typeof model === 'string' && Object.hasOwn(definitions, model) ? definitions[model] : undefined
  const made = make?.(table)
  const definition = carried ?? made?.definition
  const known = 'gpt2, llama and bert'
  if (!definition) {
    const other = typeof model === 'string' && Object.hasOwn(otherModels, model) ? otherModels[model] : undefined
    if (other === undefined) throw fault(table, 'ggml.model', `is ${shown(model)}; ${known} are read`)
    throw new FoveaError(
      'unsupported',
      'openCheckpoint',
      `${table.source}: tokenizer.ggml.model is ${model} (${other}); of GGUF files ${known} are read`,
    )
  }
  const flag = (key: string) => (typeof get(key) === 'boolean' ? (get(key) as boolean) : null)
  const { tokens, types } = Array.isArray(get('ggml.tokens')) ? vocabulary(table) : { tokens: [], types: [] }
  const named = ggufEndTokens(tokens, (id) => types[id] === control)
  return jsonTokenizer(definition, {
    file: table.source,
    bosToken: tokenId(table, 'bos') ?? (model === 'llama' && tokens.length > 1 ? 1 : null),
    eosTokens: [...new Set([...spec.eosTokens, ...named])],
    addBos: flag('ggml.add_bos_token') ?? (carried ? null : (made?.addBos ?? null)),
    addEos: flag('ggml.add_eos_token'),
    chatTemplate,
    // two tokens may have one text, which a tokenizer.json cannot say
    ...(made && { texts: made.texts ?? tokens }),
  })
}

/** How a tokenizer.json is made, by `tokenizer.ggml.model`. */
const definitions: Readonly<Record<string, (table: GgufTable) => Made>> = {
  gpt2: byteLevelDefinition,
  llama: pieceDefinition,
  bert: wordPieceDefinition,
}

interface Made {
  readonly definition: TokenizerDefinition
  readonly addBos: boolean | null
  /** of all ids, where they are not those of the file */
  readonly texts?: readonly string[]
}

function byteLevelDefinition(table: GgufTable): Made {
  const { tokens, types } = vocabulary(table)
  const merges = strings(table, 'ggml.merges')
  const pre = table.metadata.get('tokenizer.ggml.pre') ?? 'default'
  const cut = typeof pre === 'string' ? ggufPreTokenizer(pre) : undefined
  if (!cut) throw fault(table, 'ggml.pre', `is ${shown(pre)}; known are ${ggufPreTokenizerNames().join(', ')}`)
  const vocab = idsOf(tokens)
  const definition = {
    version: '1.0',
    added_tokens: addedTokens(tokens, types),
    normalizer: cut.normalizer ?? null,
    pre_tokenizer: cut.preTokenizer,
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', unk_token: null, ignore_merges: cut.ignoreMerges, vocab, merges: pairs(merges, vocab) },
  }
  return { definition, addBos: cut.addBos }
}

function pieceDefinition(table: GgufTable): Made {
  const { tokens, types } = vocabulary(table)
  const scores = table.metadata.get('tokenizer.ggml.scores') ?? tokens.map(() => 0)
  if (!Array.isArray(scores) || scores.length !== tokens.length)
    throw fault(table, 'ggml.scores', `must have ${tokens.length} numbers`)
  const prefixed = table.metadata.get('tokenizer.ggml.add_space_prefix') !== false
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const unknownToken = tokens[tokenId(table, 'unknown') ?? types.indexOf(unknown)] ?? null
  // tokens that stand for themselves are no results of merging
  const merges = (_: unknown, id: number) => types[id] !== control && types[id] !== unknown
  const decoders = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(prefixed ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ]
  const definition = {
    version: '1.0',
    added_tokens: addedTokens(tokens, types),
    normalizer: prefixed ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] } : replace,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'Sequence', decoders },
    model: {
      type: 'BPE',
      unk_token: unknownToken,
      fuse_unk: true,
      byte_fallback: true,
      vocab: idsOf(tokens),
      merges: scoreMerges(tokens.filter(merges), scores.filter(merges) as number[]),
    },
  }
  return { definition, addBos: true }
}

/** WordPiece as llama.cpp keeps it: "▁" before what begins a word, nothing before what goes on with one. */
function wordPieceDefinition(table: GgufTable): Made {
  const { tokens, types } = vocabulary(table)
  const texts = tokens.map((token, id) => {
    if (types[id] === control || types[id] === unknown || /^\[.*\]$/.test(token)) return token
    return token.startsWith('▁') ? token.slice(1) : `##${token}`
  })
  const named = (name: string, text: string) => tokenId(table, name) ?? texts.indexOf(text)
  const [cls, sep] = [
    tokenId(table, 'cls') ?? named('bos', '[CLS]'),
    tokenId(table, 'seperator') ?? named('separator', '[SEP]'),
  ]
  const unknownToken = texts[named('unknown', '[UNK]')]
  if (cls < 0 || sep < 0 || unknownToken === undefined)
    throw fault(table, 'ggml.tokens', 'must have tokens that begin and end a text, and one for what is none')
  const definition = {
    version: '1.0',
    added_tokens: addedTokens(texts, types),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', cls: [texts[cls], cls], sep: [texts[sep], sep] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model: { type: 'WordPiece', unk_token: unknownToken, continuing_subword_prefix: '##', vocab: idsOf(texts) },
  }
  return { definition, addBos: null, texts }
}

/** An id that the metadata names; one beyond the vocabulary counts as none, as in llama.cpp. */
function tokenId(table: GgufTable, name: string): number | null {
  const id = table.metadata.get(`tokenizer.ggml.${name}_token_id`)
  const tokens = table.metadata.get('tokenizer.ggml.tokens')
  const known = typeof id === 'number' && Number.isInteger(id) && id >= 0
  return known && (!Array.isArray(tokens) || id < tokens.length) ? id : null
}

function vocabulary(table: GgufTable): { tokens: readonly string[]; types: readonly number[] } {
  const tokens = strings(table, 'ggml.tokens')
  const types = table.metadata.get('tokenizer.ggml.token_type') ?? []
  if (!Array.isArray(types) || (types.length > 0 && types.length !== tokens.length))
    throw fault(table, 'ggml.token_type', `must have ${tokens.length} numbers`)
  return { tokens, types: types as number[] }
}

function strings(table: GgufTable, key: string): readonly string[] {
  const list = table.metadata.get(`tokenizer.${key}`)
  if (Array.isArray(list) && list.every((text) => typeof text === 'string')) return list
  throw fault(table, key, `must be a list of strings, got ${shown(list)}`)
}

function addedTokens(tokens: readonly string[], types: readonly number[]) {
  const seen = new Set<string>()
  return tokens.flatMap((content, id) => {
    const special = types[id] === control || types[id] === unknown
    if (!(special || types[id] === userDefined) || seen.has(content)) return []
    seen.add(content)
    return [{ id, content, special, normalized: false }]
  })
}

/** Of tokens with one text the first, as in llama.cpp. `fromEntries` defines keys: a token may be called "__proto__". */
function idsOf(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id): [string, number] => [token, id]).reverse())
}

/** "left right", where a side may begin with a space. What is not made of tokens is never asked for. */
function pairs(merges: readonly string[], vocab: Readonly<Record<string, number>>): readonly (readonly string[])[] {
  const known = (token: string) => Object.hasOwn(vocab, token)
  return merges.flatMap((merge) => {
    const space = merge.indexOf(' ', 1)
    const [left, right] = [merge.slice(0, Math.max(0, space)), merge.slice(space + 1)]
    return known(left) && known(right) && known(left + right) ? [[left, right]] : []
  })
}

function carriedDefinition(table: GgufTable, json: unknown): TokenizerDefinition | undefined {
  if (typeof json !== 'string') return undefined
  try {
    const definition = parseJson(json)
    if (isRecord(definition)) return definition
  } catch (cause) {
    throw fault(table, 'huggingface.json', `is no JSON: ${(cause as Error).message}`)
  }
  throw fault(table, 'huggingface.json', 'is no JSON object')
}

function fault(table: GgufTable, key: string, message: string): FoveaError {
  return new FoveaError('format', 'openCheckpoint', `${table.source}: tokenizer.${key} ${message}`)
}
