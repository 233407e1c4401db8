import { FoveaError } from '../../tile/index.ts'
import { isRecord, shown } from '../architectures/config-fields.ts'
import { chatTemplate } from '../chat-template.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import type { GgufTable } from '../files/gguf.ts'
import { parseJson } from '../files/parse-json.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { ggufPreTokenizer, ggufPreTokenizerNames } from './gguf-pre-tokenizers.ts'
import { jsonTokenizer, type TokenizerDefinition } from './json-tokenizer.ts'
import { missingTokenizer } from './missing-tokenizer.ts'
import { scoreMerges } from './score-merges.ts'

/** kinds of tokens in `tokenizer.ggml.token_type` that stand for themselves wherever they occur */
const control = 3
const userDefined = 4

/**
 * The tokenizer of a GGUF file, made into the tokenizer.json that it came from: "gpt2" is byte-level BPE with merges and
 * a named way of cutting the text, "llama" SentencePiece BPE with scores and byte tokens. A file that carries its
 * tokenizer.json (`tokenizer.huggingface.json`) is taken at that. One that refuses to encode where there is none.
 *
 * Throws `format` naming file and key: an unknown model or way of cutting, lists of the wrong type or length.
 */
export function ggufTokenizer(table: GgufTable, spec: DecoderSpec): Tokenizer {
  const get = (key: string) => table.metadata.get(`tokenizer.${key}`)
  const model = get('ggml.model')
  const carried = carriedDefinition(table, get('huggingface.json'))
  if (!carried && (model === undefined || model === 'none' || model === 'no_vocab'))
    return missingTokenizer(table.source, spec)
  const made = model === 'gpt2' ? byteLevelDefinition(table) : model === 'llama' ? pieceDefinition(table) : undefined
  const definition = carried ?? made?.definition
  if (!definition) throw fault(table, 'ggml.model', `is ${shown(model)}; gpt2 and llama are read`)
  const flag = (key: string) => (typeof get(key) === 'boolean' ? (get(key) as boolean) : null)
  const template = get('chat_template')
  const id = (key: string) => (typeof get(key) === 'number' ? (get(key) as number) : null)
  return jsonTokenizer(definition, {
    file: table.source,
    bosToken: id('ggml.bos_token_id'),
    eosTokens: spec.eosTokens,
    addBos: flag('ggml.add_bos_token') ?? (carried ? null : (made?.addBos ?? null)),
    addEos: flag('ggml.add_eos_token'),
    chatTemplate:
      typeof template === 'string' ? chatTemplate(`${table.source}: tokenizer.chat_template`, template) : null,
  })
}

interface Made {
  readonly definition: TokenizerDefinition
  readonly addBos: boolean | null
}

function byteLevelDefinition(table: GgufTable): Made {
  const { tokens, types } = vocabulary(table)
  const merges = strings(table, 'ggml.merges')
  const pre = table.metadata.get('tokenizer.ggml.pre') ?? 'default'
  const cut = typeof pre === 'string' ? ggufPreTokenizer(pre) : undefined
  if (!cut) throw fault(table, 'ggml.pre', `is ${shown(pre)}; known are ${ggufPreTokenizerNames().join(', ')}`)
  const definition = {
    version: '1.0',
    added_tokens: addedTokens(tokens, types),
    normalizer: null,
    pre_tokenizer: cut.preTokenizer,
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      unk_token: null,
      ignore_merges: cut.ignoreMerges,
      vocab: idsOf(tokens),
      merges: pairs(merges),
    },
  }
  return { definition, addBos: cut.addBos }
}

function pieceDefinition(table: GgufTable): Made {
  const { tokens, types } = vocabulary(table)
  const scores = table.metadata.get('tokenizer.ggml.scores')
  if (!Array.isArray(scores) || scores.length !== tokens.length)
    throw fault(table, 'ggml.scores', `must have ${tokens.length} numbers`)
  const prefixed = table.metadata.get('tokenizer.ggml.add_space_prefix') !== false
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const unknown = tokens[types.indexOf(2)] ?? null
  // tokens that stand for themselves are no results of merging
  const merged = tokens.filter((_, id) => types[id] !== control)
  const mergedScores = scores.filter((_, id) => types[id] !== control) as number[]
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
      unk_token: unknown,
      fuse_unk: true,
      byte_fallback: true,
      vocab: idsOf(tokens),
      merges: scoreMerges(merged, mergedScores),
    },
  }
  return { definition, addBos: true }
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
  return tokens.flatMap((content, id) => {
    const special = types[id] === control
    return special || types[id] === userDefined ? [{ id, content, special, normalized: false }] : []
  })
}

/** `fromEntries` defines keys: a token may be called "__proto__". */
function idsOf(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]))
}

/** "left right"; the left part may be a space in no vocabulary that is byte-level. */
function pairs(merges: readonly string[]): readonly (readonly string[])[] {
  return merges.map((merge) => {
    const space = merge.indexOf(' ', 1)
    return [merge.slice(0, space), merge.slice(space + 1)]
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
