import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import { type ChatTemplate, chatTemplate } from '../chat-template.ts'
import { type ModelFiles, readObject, readText } from '../model-files.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { jsonTokenizer, type TokenizerDefinition } from './json-tokenizer.ts'
import { type ModelTokens, missingTokenizer } from './missing-tokenizer.ts'

/** classes of transformers that begin a text with the begin token where nothing is said; the others add nothing */
const beginning = /^(Llama|CodeLlama|Gemma|Cohere)Tokenizer(Fast)?$/

/**
 * The tokenizer of a Hugging Face folder: tokenizer.json, what tokenizer_config.json says of begin and end tokens, and
 * the chat template, which lies in chat_template.jinja, tokenizer_config.json or chat_template.json. One that refuses to
 * encode where there is no tokenizer.json.
 */
export async function tokenizerFiles(files: ModelFiles, spec: ModelTokens): Promise<Tokenizer> {
  const definition = await readObject(files, 'tokenizer.json')
  if (!definition) return missingTokenizer(files.name, spec)
  const file = `${files.name}/tokenizer.json`
  const config = await readObject(files, 'tokenizer_config.json')
  const ids = tokenIds(definition)
  const named = (field: string) => tokenNamed(`${files.name}/tokenizer_config.json`, field, config?.[field], ids)
  const eosToken = named('eos_token')
  const flag = (field: string) => (typeof config?.[field] === 'boolean' ? config[field] : null)
  return jsonTokenizer(withoutImageTokens(definition, spec), {
    file,
    // where the file is there it decides: Qwen's config.json names a begin token, its tokenizer has none
    bosToken: config ? named('bos_token') : spec.bosToken,
    eosTokens: [...new Set([...(eosToken === null ? [] : [eosToken]), ...spec.eosTokens])],
    addBos: flag('add_bos_token') ?? (beginning.test(String(config?.tokenizer_class)) ? true : null),
    addEos: flag('add_eos_token'),
    chatTemplate: await findTemplate(files, config),
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

/** A token that a setting names: a string, or an object with its content. */
function tokenNamed(
  file: string,
  field: string,
  value: unknown,
  ids: (content: string) => number | undefined,
): number | null {
  const content = isRecord(value) ? value.content : value
  if (content === undefined || content === null) return null
  const id = typeof content === 'string' ? ids(content) : undefined
  // an added token that the model has no row for may have been left out before its id was looked at
  if (id !== undefined && Number.isSafeInteger(id) && id >= 0) return id
  throw new FoveaError(
    'format',
    'openCheckpoint',
    `${file}: ${field} is ${JSON.stringify(content)}, which is no token of tokenizer.json`,
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

async function findTemplate(
  files: ModelFiles,
  config: Readonly<Record<string, unknown>> | null,
): Promise<ChatTemplate | null> {
  const jinja = await readText(files, 'chat_template.jinja')
  if (jinja !== null) return chatTemplate(`${files.name}/chat_template.jinja`, jinja)
  const inConfig = templateText(config?.chat_template)
  if (inConfig !== null) return chatTemplate(`${files.name}/tokenizer_config.json: chat_template`, inConfig)
  const json = templateText((await readObject(files, 'chat_template.json'))?.chat_template)
  return json === null ? null : chatTemplate(`${files.name}/chat_template.json`, json)
}

/** One template, or several by name, of which that for chat is called "default". */
function templateText(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return null
  const named = value.filter(isRecord)
  const chosen = named.find((entry) => entry.name === 'default') ?? named[0]
  return typeof chosen?.template === 'string' ? chosen.template : null
}
