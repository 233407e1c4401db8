import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import { type ModelFiles, readObject } from '../model-files.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { findTemplate } from './find-template.ts'
import { jsonTokenizer, type TokenizerDefinition } from './json-tokenizer.ts'
import { type ModelTokens, missingTokenizer } from './missing-tokenizer.ts'
import { withNamedTokens } from './named-tokens.ts'
import { type TokenizerConfig, tokenizerConfig } from './tokenizer-config.ts'

/** classes of transformers that begin a text with the begin token where nothing is said; the others add nothing */
const beginning = /^(Llama|CodeLlama|Gemma|Cohere)Tokenizer(Fast)?$/

/**
 * The tokenizer of a Hugging Face folder: tokenizer.json, what tokenizer_config.json and special_tokens_map.json say of
 * tokens (`tokenizerConfig`), and the chat template, which lies in chat_template.jinja, tokenizer_config.json or
 * chat_template.json. One that refuses to encode where there is no tokenizer.json. `ignored`: fields to read past.
 */
export async function tokenizerFiles(
  files: ModelFiles,
  spec: ModelTokens,
  ignored?: readonly string[],
): Promise<Tokenizer> {
  const own = await readObject(files, 'tokenizer.json')
  if (!own) return missingTokenizer(files.name, spec)
  const config = await tokenizerConfig(files, own, ignored)
  const listed = withNamedTokens(own, config?.listed ?? [], [])
  const ids = tokenIds(listed)
  const named = [...(config?.tokens.values() ?? [])].map(({ token }) => token)
  const eosToken = tokenNamed(config, 'eos_token', ids)
  return jsonTokenizer(withoutImageTokens(withNamedTokens(listed, [], [...named, ...(config?.extra ?? [])]), spec), {
    file: `${files.name}/tokenizer.json`,
    // where a file names tokens it decides: Qwen's config.json names a begin token, its tokenizer has none
    bosToken: config ? tokenNamed(config, 'bos_token', ids) : spec.bosToken,
    eosTokens: [...new Set([...(eosToken === null ? [] : [eosToken]), ...spec.eosTokens])],
    addBos: config?.addBos ?? (beginning.test(config?.tokenizerClass ?? '') ? true : null),
    addEos: config?.addEos ?? null,
    chatTemplate: await findTemplate(files, config?.chatTemplate),
    namedTokens: Object.fromEntries([...(config?.tokens ?? [])].map(([name, { token }]) => [name, token.content])),
  })
}

/** Ids by content, of the vocabulary and of the tokens added to it. */
function tokenIds({ model, added_tokens }: TokenizerDefinition): (content: string) => number | undefined {
  const vocab = isRecord(model) ? model.vocab : undefined
  const added = Array.isArray(added_tokens) ? added_tokens.filter(isRecord) : []
  return (content) => {
    const token = added.find((candidate) => candidate.content === content)
    if (typeof token?.id === 'number') return token.id
    if (isRecord(vocab) && Object.hasOwn(vocab, content)) return vocab[content] as number
    const index = Array.isArray(vocab) ? vocab.findIndex((entry) => entry?.[0] === content) : -1
    return index >= 0 ? index : undefined
  }
}

/** The id of a token that a setting names. */
function tokenNamed(
  config: TokenizerConfig | null,
  field: string,
  ids: (content: string) => number | undefined,
): number | null {
  const named = config?.tokens.get(field)
  if (!named) return null
  const id = ids(named.token.content)
  // an added token that the model has no row for may have been left out before its id was looked at
  if (id !== undefined && Number.isSafeInteger(id) && id >= 0) return id
  throw new FoveaError(
    'format',
    'openCheckpoint',
    `${named.file}: ${field} is ${JSON.stringify(named.token.content)}, which is no token of tokenizer.json`,
  )
}

/** Gemma 3's tokenizer ends with a token for images, for which the embedding of the text models has no row. */
function withoutImageTokens(definition: TokenizerDefinition, spec: ModelTokens): TokenizerDefinition {
  const added = definition.added_tokens
  if (spec.architecture !== 'gemma3' || !Array.isArray(added)) return definition
  const kept = added.filter(
    (token) => !(isRecord(token) && token.special === true && Number(token.id) >= spec.vocabSize),
  )
  return { ...definition, added_tokens: kept }
}
