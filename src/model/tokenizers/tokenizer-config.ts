import { unreadFault } from '../architectures/check-unread.ts'
import { type ConfigFields, configFields, isRecord } from '../architectures/config-fields.ts'
import { isNeutral } from '../architectures/harmless-fields.ts'
import { shown } from '../files/shown.ts'
import { type ModelFiles, readObject } from '../model-files.ts'
import { isHarmlessForTokens } from './harmless-tokenizer-fields.ts'
import type { TokenizerDefinition } from './json-tokenizer.ts'
import { type NamedToken, namedToken } from './named-tokens.ts'
import { repeatedFields } from './repeated-fields.ts'

/** What tokenizer_config.json and special_tokens_map.json say. */
export interface TokenizerConfig {
  /** tokens that the files name, by field: `bos_token`, `pad_token`, `image_token` and the like */
  readonly tokens: ReadonlyMap<string, { readonly file: string; readonly token: NamedToken }>
  /** other tokens that are special */
  readonly extra: readonly NamedToken[]
  /** `added_tokens_decoder`, by id */
  readonly listed: readonly NamedToken[]
  readonly addBos: boolean | null
  readonly addEos: boolean | null
  readonly tokenizerClass: string
  readonly chatTemplate: unknown
}

/** in the order in which transformers adds those that a vocabulary lacks */
const attributes = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token']
const lists = ['additional_special_tokens', 'extra_special_tokens']
const others = ['added_tokens_decoder', 'add_bos_token', 'add_eos_token', 'tokenizer_class', 'chat_template']

/**
 * The configuration of a folder's tokenizer, null where there is none. As in transformers the fields of
 * special_tokens_map.json come before those of tokenizer_config.json, but where that has an `added_tokens_decoder`: then the
 * map is not read.
 *
 * Nothing is read past in silence: other fields must be harmless (`harmless-tokenizer-fields.ts`), say nothing, or be
 * `ignored`; and those that say again what tokenizer.json says (`repeated-fields.ts`) must say the same. Throws `unsupported`
 * for one that is none of these, `format` for one of the wrong kind, naming file and field.
 */
export async function tokenizerConfig(
  files: ModelFiles,
  definition: TokenizerDefinition,
  ignored: readonly string[] = [],
): Promise<TokenizerConfig | null> {
  const config = await readObject(files, 'tokenizer_config.json')
  const map = config?.added_tokens_decoder === undefined ? await readObject(files, 'special_tokens_map.json') : null
  if (!config && !map) return null
  const inConfig = { file: `${files.name}/tokenizer_config.json`, values: config ?? {} }
  const inMap = { file: `${files.name}/special_tokens_map.json`, values: map ?? {} }
  const tokens = namedTokens([inMap, inConfig])
  const { values } = inConfig
  const fields = configFields(inConfig.file, values)
  const flag = (name: string) => (fields.has(name) ? fields.flag(name, false) : null)
  checkRepeated(fields, definition, ignored)
  const ofTokens = [...attributes, ...lists, ...tokens.keys()]
  checkNames(inMap, ofTokens, ignored)
  checkNames(inConfig, [...ofTokens, ...others, ...Object.keys(repeatedFields)], ignored)
  return {
    tokens,
    extra: extraTokens([inMap, inConfig], tokens),
    listed: listedTokens(fields, values.added_tokens_decoder),
    addBos: flag('add_bos_token'),
    addEos: flag('add_eos_token'),
    tokenizerClass: fields.text('tokenizer_class', ''),
    chatTemplate: values.chat_template,
  }
}

interface Source {
  readonly file: string
  readonly values: Readonly<Record<string, unknown>>
}

function checkNames(source: Source, read: readonly string[], ignored: readonly string[]): void {
  const passes = new Set([...read, ...ignored])
  for (const [name, value] of Object.entries(source.values)) {
    if (passes.has(name) || isHarmlessForTokens(name) || isNeutral(value)) continue
    throw unreadFault(source, name, value, 'no setting of a tokenizer that is known here')
  }
}

/** Fields that end in `_token`, and those that `extra_special_tokens` has where it is an object. */
function namedTokens(sources: readonly [Source, Source]): Map<string, { file: string; token: NamedToken }> {
  const tokens = new Map<string, { file: string; token: NamedToken }>()
  const isToken = (value: unknown) => typeof value === 'string' || (isRecord(value) && value.content !== undefined)
  const more = sources.flatMap(({ values }) =>
    Object.keys(values).filter((name) => name.endsWith('_token') && isToken(values[name])),
  )
  for (const name of new Set([...attributes, ...more])) {
    const { file, values } = sources.find((source) => Object.hasOwn(source.values, name)) ?? sources[1]
    if (values[name] !== undefined && values[name] !== null)
      tokens.set(name, { file, token: namedToken(file, name, values[name], true) })
  }
  for (const { file, values } of sources)
    if (isRecord(values.extra_special_tokens))
      for (const [name, value] of Object.entries(values.extra_special_tokens))
        if (!tokens.has(name))
          tokens.set(name, { file, token: namedToken(file, `extra_special_tokens.${name}`, value, true) })
  return tokens
}

/** Those of tokenizer_config.json, and those of special_tokens_map.json under the newer name or where there are no others. */
function extraTokens([inMap, inConfig]: readonly [Source, Source], tokens: TokenizerConfig['tokens']): NamedToken[] {
  const own = listOf(inConfig)
  const more = own.length === 0 || inMap.values.extra_special_tokens !== undefined ? listOf(inMap) : []
  const named = new Set([...tokens.values()].map(({ token }) => token.content))
  return [...own, ...more].filter(({ content }) => !named.has(content))
}

/** `extra_special_tokens`, or by its older name `additional_special_tokens`. */
function listOf({ file, values }: Source): NamedToken[] {
  const name = isEmpty(values.extra_special_tokens) ? 'additional_special_tokens' : 'extra_special_tokens'
  const given = values[name]
  if (isEmpty(given) || isRecord(given)) return []
  if (!Array.isArray(given)) throw configFields(file, values).fault(name, `must list tokens, got ${shown(given)}`)
  return given.map((value, i) => namedToken(file, `${name}[${i}]`, value, true))
}

const isEmpty = (value: unknown) =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)

function listedTokens(fields: ConfigFields, value: unknown): NamedToken[] {
  if (value === undefined || value === null) return []
  if (!isRecord(value)) throw fields.fault('added_tokens_decoder', 'must be an object of tokens by their ids')
  const wrong = Object.keys(value).find((id) => !/^\d+$/.test(id))
  if (wrong !== undefined) throw fields.fault(`added_tokens_decoder.${wrong}`, 'must be named by the id of a token')
  return Object.entries(value)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([id, token]) => namedToken(fields.file, `added_tokens_decoder.${id}`, token, false))
}

/** A field that says again what tokenizer.json says must say the same. */
function checkRepeated(fields: ConfigFields, definition: TokenizerDefinition, ignored: readonly string[]): void {
  for (const [name, said] of Object.entries(repeatedFields)) {
    if (!fields.has(name) || ignored.includes(name)) continue
    const stated = fields.flag(name, false)
    // spaces that are not taken out where nothing says so are the usual thing
    if (name === 'clean_up_tokenization_spaces' && !stated) continue
    if (stated !== said(definition))
      throw unreadFault(fields, name, stated, 'other than what tokenizer.json says, which is what is computed here')
  }
}
