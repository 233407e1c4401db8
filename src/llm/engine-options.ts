import { type PageFormat, pageFormats } from '../cache/index.ts'
import type { Device, DeviceKind, DeviceOptions } from '../device/index.ts'
import { type LoadedWeights, loadedWeights } from '../model/quantised-checkpoint.ts'
import type { ModelSource } from '../model/source/resolve-model-source.ts'
import { type SourceOptions, sourceOptionFields } from '../model/source/source-options.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'

/** How an engine is set up, and its model fetched; defaults in parentheses. Everything that decides memory is here. */
export interface EngineOptions extends SourceOptions {
  /** a device of yours, or the kind to open (the best at hand); an engine disposes only what it opened */
  readonly device?: Device | DeviceKind
  readonly deviceOptions?: DeviceOptions
  /** name that the model is listed by (the last part of its path) */
  readonly name?: string
  /** most tokens of a prompt and its answer together (the model's positions, 2^20 or weights' bytes / 64 at most) */
  readonly contextLength?: number
  /** settings of the model's file that are to be read past although they say something, by name (none) */
  readonly ignoreFields?: readonly string[]
  /** quantise the matrices to so many bits while they are loaded, a few rows at a time (as they are stored) */
  readonly weights?: LoadedWeights
  /** folders of adapters as Hugging Face PEFT writes them, which are added to the matrices while they are loaded (none) */
  readonly adapters?: readonly string[]
  /** most generations that run at once (8); others wait */
  readonly maxSequences?: number
  /** most generations that wait (64) */
  readonly maxQueue?: number
  /** tokens that the cache holds in all, shared by all sequences and kept prefixes (the context length) */
  readonly cacheTokens?: number
  /** how keys and values are stored (bf16 on WebAssembly, f16 on a GPU that computes in it, else f32) */
  readonly cacheFormat?: PageFormat
  /** tokens of a page, 16 to 256 (64) */
  readonly pageSize?: number
  /** keep only the newest tokens and the first few: memory no longer grows with the text (all are kept) */
  readonly cachePolicy?: { readonly window: number; readonly sinks: number } | null
  /** find prompts' beginnings that were computed before (true) */
  readonly sharePrefixes?: boolean
  /** most tokens of a step: prompts are computed in chunks of this many (2,048 on a GPU with matrix units, else 512) */
  readonly chunkSize?: number
  /** propose the tokens that followed the same words earlier in the text, and verify them together (none) */
  readonly promptLookup?: { readonly tokens: number; readonly match?: number } | null
  /** a smaller model with the same vocabulary proposes so many tokens at a time instead (none) */
  readonly draftModel?: { readonly model: ModelSource; readonly tokens: number } | null
}

/** Options with every default filled in, but those that the device decides. */
export type CheckedEngineOptions = Required<
  Omit<
    EngineOptions,
    'device' | 'deviceOptions' | 'name' | 'cacheFormat' | 'ignoreFields' | 'weights' | 'adapters' | keyof SourceOptions
  >
> &
  Pick<EngineOptions, 'cacheFormat'>

/** `chunkSize` is the device's. Throws `argument` in the name of `where` for what is out of range, naming the field. */
export function checkEngineOptions(
  where: string,
  options: EngineOptions,
  maxPositions: number,
  chunkSize: number,
): CheckedEngineOptions {
  checkFields(where, 'options', options, engineOptionFields)
  const whole = (name: string, value: number, least: number, most: number): number => {
    if (!Number.isSafeInteger(value) || value < least || value > most)
      throw new FoveaError('argument', where, `${name} must be a whole number from ${least} to ${most}, got ${value}`)
    return value
  }
  const wanted = options.contextLength ?? maxPositions
  if (Number.isSafeInteger(wanted) && wanted > maxPositions)
    throw new FoveaError(
      'argument',
      where,
      `contextLength must be a whole number from 2 to ${maxPositions}, got ${wanted}: the positions of the model end there; a scaling of them in its config.json (rope_scaling of type yarn with factor and original_max_position_embeddings) reaches further, a dynamic one as far as openCheckpoint is told by its contextLength`,
    )
  const contextLength = whole('contextLength', wanted, 2, maxPositions)
  const pageSize = whole('pageSize', options.pageSize ?? 64, 16, 256)
  const lookup = options.promptLookup ?? null
  const draft = options.draftModel ?? null
  if (lookup) checkFields(where, 'promptLookup', lookup, lookupFields)
  if (draft) checkFields(where, 'draftModel', draft, draftFields)
  if (options.cacheFormat !== undefined) checkChoice(where, 'cacheFormat', options.cacheFormat, pageFormats)
  checkLoadOptions(where, options)
  if (lookup && draft)
    throw new FoveaError('argument', where, 'promptLookup and draftModel propose the same tokens: choose one')
  const policy = options.cachePolicy ?? null
  if (policy) {
    checkFields(where, 'cachePolicy', policy, policyFields)
    whole('cachePolicy.window', policy.window, 1, 2 ** 31 - 1)
    whole('cachePolicy.sinks', policy.sinks, 0, 2 ** 31 - 1)
  }
  return {
    contextLength,
    maxSequences: whole('maxSequences', options.maxSequences ?? 8, 1, 256),
    maxQueue: whole('maxQueue', options.maxQueue ?? 64, 0, 1_000_000),
    cacheTokens: whole('cacheTokens', options.cacheTokens ?? contextLength, 1, 2 ** 31 - 1),
    pageSize,
    cachePolicy: policy,
    sharePrefixes: options.sharePrefixes ?? true,
    chunkSize: whole('chunkSize', options.chunkSize ?? chunkSize, 1, 65536),
    promptLookup: lookup && {
      tokens: whole('promptLookup.tokens', lookup.tokens, 1, 15),
      match: whole('promptLookup.match', lookup.match ?? 3, 1, 16),
    },
    draftModel: draft && { model: draft.model, tokens: whole('draftModel.tokens', draft.tokens, 1, 15) },
    ...(options.cacheFormat && { cacheFormat: options.cacheFormat }),
  }
}

/** Throws `argument` in the name of `where` for weights or adapters that are none. */
export function checkLoadOptions(where: string, { adapters, weights }: EngineOptions): void {
  if (weights !== undefined) checkChoice(where, 'weights', weights, loadedWeights)
  if (adapters !== undefined && !(Array.isArray(adapters) && adapters.every((folder) => typeof folder === 'string')))
    throw new FoveaError('argument', where, 'adapters must be a list of paths of folders')
}

export const engineOptionFields: FieldsOf<EngineOptions> = {
  ...sourceOptionFields,
  ignoreFields: true,
  weights: true,
  adapters: true,
  device: true,
  deviceOptions: true,
  name: true,
  contextLength: true,
  maxSequences: true,
  maxQueue: true,
  cacheTokens: true,
  cacheFormat: true,
  pageSize: true,
  cachePolicy: true,
  sharePrefixes: true,
  chunkSize: true,
  promptLookup: true,
  draftModel: true,
}
const lookupFields: FieldsOf<NonNullable<EngineOptions['promptLookup']>> = { tokens: true, match: true }
const draftFields: FieldsOf<NonNullable<EngineOptions['draftModel']>> = { model: true, tokens: true }
const policyFields: FieldsOf<NonNullable<EngineOptions['cachePolicy']>> = { window: true, sinks: true }
