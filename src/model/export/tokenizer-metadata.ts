import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import type { GgufTypedValue } from '../files/write-gguf.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { ggufPreTokenizer } from '../tokenizers/gguf-pre-tokenizers.ts'
import { mergePair } from '../tokenizers/merge-pair.ts'
import { preTokenizerName } from './pre-tokenizer-name.ts'

/** llama.cpp's llama_token_type */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 }

/**
 * The tokenizer of a GGUF file from its tokenizer.json: byte-level BPE becomes "gpt2" with merges and a named way of
 * cutting the text, SentencePiece BPE "llama" with scores. Rows of the embedding that no token has become unused tokens,
 * as llama.cpp wants a token for each. Where no name stands for the way of cutting, or a normaliser is there that names
 * do not tell of, the tokenizer.json is carried along for readers that know it (`tokenizer.huggingface.json`).
 *
 * A model without a tokenizer is given none, which llama.cpp runs on token ids. Throws `unsupported` for another kind.
 */
export function tokenizerMetadata(tokenizer: Tokenizer, spec: DecoderSpec): Map<string, GgufTypedValue> {
  const metadata = new Map<string, GgufTypedValue>()
  const set = (key: string, value: GgufTypedValue) => metadata.set(`tokenizer.${key}`, value)
  const { definition } = tokenizer
  if (!isRecord(definition)) {
    set('ggml.model', { type: 'string', value: 'none' })
    endTokens(tokenizer, set)
    return metadata
  }
  const model = isRecord(definition.model) ? definition.model : {}
  if (model.type !== 'BPE' || !isRecord(model.vocab))
    throw new FoveaError('unsupported', 'exportGguf', `GGUF files have no tokenizer of the type ${String(model.type)}`)
  const merges = (Array.isArray(model.merges) ? model.merges : []).map(mergePair)
  const byteLevel = mentions(definition.pre_tokenizer, 'ByteLevel') || mentions(definition.decoder, 'ByteLevel')
  const { tokens, types } = vocabulary(definition, model.vocab, spec.vocabSize, byteLevel)

  set('ggml.model', { type: 'string', value: byteLevel ? 'gpt2' : 'llama' })
  const { ignore_merges } = model
  const pre = byteLevel ? preTokenizerName(definition.pre_tokenizer, ignore_merges === true) : undefined
  // where only that differs, llama.cpp still cuts as the name says
  const near = byteLevel ? preTokenizerName(definition.pre_tokenizer, ignore_merges !== true) : undefined
  if (byteLevel) set('ggml.pre', { type: 'string', value: pre ?? near ?? 'default' })
  if (!(byteLevel ? isNamed(definition, pre) : isPlainPieces(definition)))
    set('huggingface.json', { type: 'string', value: JSON.stringify(definition) })
  set('ggml.tokens', { type: { arrayOf: 'string' }, value: tokens })
  set('ggml.token_type', { type: { arrayOf: 'i32' }, value: types })
  if (byteLevel) set('ggml.merges', { type: { arrayOf: 'string' }, value: merges.map((pair) => pair.join(' ')) })
  else {
    set('ggml.scores', { type: { arrayOf: 'f32' }, value: scoresOf(tokens, merges) })
    set('ggml.add_space_prefix', { type: 'bool', value: mentions(definition.normalizer, 'Prepend') })
  }
  endTokens(tokenizer, set)
  // what it does, not what it says: settings, templates and defaults have a part in it
  const ids = tokenizer.encode('a', { special: true })
  const { bosToken, eosTokens } = tokenizer
  set('ggml.add_bos_token', { type: 'bool', value: bosToken !== null && ids[0] === bosToken })
  set('ggml.add_eos_token', { type: 'bool', value: eosTokens.length > 0 && ids.at(-1) === eosTokens[0] })
  if (tokenizer.chatTemplate !== undefined) set('chat_template', { type: 'string', value: tokenizer.chatTemplate })
  return metadata
}

/** Does the name of a way of cutting tell all that the definition says besides vocabulary and merges? */
function isNamed(definition: Readonly<Record<string, unknown>>, pre: string | undefined): boolean {
  const known = pre === undefined ? undefined : ggufPreTokenizer(pre)
  if (!known) return false
  const normalizes = JSON.stringify(flattened(definition.normalizer)) === JSON.stringify(flattened(known.normalizer))
  return normalizes && hasPlainTokens(definition)
}

/** Is it SentencePiece as "llama" tells of it: "▁" for spaces, one before the text or not, bytes for what is no token? */
function isPlainPieces(definition: Readonly<Record<string, unknown>>): boolean {
  const { normalizer, pre_tokenizer: cut, model } = definition
  const steps = flattened(normalizer).map((step) =>
    JSON.stringify([step.type, step.prepend ?? step.pattern, step.content]),
  )
  const plain = [JSON.stringify(['Replace', { String: ' ' }, '▁'])]
  const prefixed = [JSON.stringify(['Prepend', '▁', undefined]), ...plain]
  const normalizes = [plain, prefixed].some((known) => known.join() === steps.join())
  // Gemma's cuts at spaces, of which the normaliser leaves none
  const cuts = !isRecord(cut) || (cut.type === 'Split' && isRecord(cut.pattern) && cut.pattern.String === ' ')
  return normalizes && cuts && isRecord(model) && model.byte_fallback === true && hasPlainTokens(definition)
}

/** Does no added token want more than to be found as it stands, before normalising? */
function hasPlainTokens({ added_tokens, normalizer }: Readonly<Record<string, unknown>>): boolean {
  const tokens = Array.isArray(added_tokens) ? added_tokens.filter(isRecord) : []
  const normalizes = flattened(normalizer).length > 0
  return tokens.every((token) => {
    const late = normalizes && (token.normalized ?? token.special !== true) === true
    return !late && token.lstrip !== true && token.rstrip !== true && token.single_word !== true
  })
}

function flattened(normalizer: unknown): Record<string, unknown>[] {
  if (!isRecord(normalizer)) return []
  return Array.isArray(normalizer.normalizers) ? normalizer.normalizers.flatMap(flattened) : [normalizer]
}

function endTokens(tokenizer: Tokenizer, set: (key: string, value: GgufTypedValue) => void): void {
  const { bosToken, eosTokens } = tokenizer
  if (bosToken !== null) set('ggml.bos_token_id', { type: 'u32', value: bosToken })
  for (const [i, name] of ['eos', 'eot', 'eom'].entries()) {
    const token = eosTokens[i]
    if (token !== undefined) set(`ggml.${name}_token_id`, { type: 'u32', value: token })
  }
}

function vocabulary(
  definition: Readonly<Record<string, unknown>>,
  vocab: Readonly<Record<string, unknown>>,
  size: number,
  byteLevel: boolean,
): { tokens: string[]; types: number[] } {
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`)
  const types = new Array<number>(size).fill(tokenTypes.unused)
  const place = (id: unknown, token: string, type: number) => {
    if (typeof id !== 'number' || !(id >= 0 && id < size))
      throw new FoveaError('format', 'exportGguf', `the token ${JSON.stringify(token)} has the id ${id} of ${size}`)
    tokens[id] = token
    types[id] = type
  }
  const unknown = isRecord(definition.model) ? definition.model.unk_token : undefined
  for (const [token, id] of Object.entries(vocab)) {
    const isByte = !byteLevel && /^<0x[0-9A-F]{2}>$/.test(token)
    const type = token === unknown ? tokenTypes.unknown : isByte ? tokenTypes.byte : tokenTypes.normal
    place(id, token, type)
  }
  const added = Array.isArray(definition.added_tokens) ? definition.added_tokens.filter(isRecord) : []
  for (const { id, content, special } of added)
    if (typeof content === 'string' && content !== unknown)
      place(id, content, special === true ? tokenTypes.control : tokenTypes.userDefined)
  return { tokens, types }
}

/**
 * SentencePiece merges the pair whose token has the highest score first: minus the rank of the first merge into it, and
 * less than all for a token that no merge makes.
 */
function scoresOf(tokens: readonly string[], merges: readonly (readonly [string, string])[]): number[] {
  const ranks = new Map<string, number>()
  for (const [rank, [left, right]] of merges.entries()) {
    const token = left + right
    if (!ranks.has(token)) ranks.set(token, rank)
  }
  return tokens.map((token) => 0 - (ranks.get(token) ?? merges.length))
}

/** Is a part of this type in it, or in the sequence that it is? */
function mentions(part: unknown, type: string): boolean {
  if (!isRecord(part)) return false
  if (part.type === type) return true
  return Object.values(part).some((inner) => Array.isArray(inner) && inner.some((element) => mentions(element, type)))
}
