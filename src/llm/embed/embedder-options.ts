import type { Device, DeviceKind, DeviceOptions } from '../../device/index.ts'
import type { Pooling } from '../../model/encoders/encoder-spec.ts'
import { type SourceOptions, sourceOptionFields } from '../../model/source/source-options.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'

/** How a model that reads whole texts is set up, and fetched; defaults in parentheses. */
export interface EncoderOptions extends SourceOptions {
  /** a device of yours, or the kind to open (the best at hand); only what was opened here is disposed */
  readonly device?: Device | DeviceKind
  readonly deviceOptions?: DeviceOptions
  /** name that the model is listed by (the last part of its path) */
  readonly name?: string
  /** settings of the model's file that are to be read past although they say something, by name (none) */
  readonly ignoreFields?: readonly string[]
  /** most tokens of a text, with what stands around it (what the model's files say, 2,048 at most) */
  readonly maxTokens?: number
  /** most tokens of a step, which holds as many texts as fit; never fewer than `maxTokens` (2,048) */
  readonly batchTokens?: number
  /** cut longer texts off at their end instead of refusing them (false) */
  readonly truncate?: boolean
}

/** How vectors are made. */
export interface EmbedderOptions extends EncoderOptions {
  /** which hidden states become the vector (what the model's files say; needed where they say nothing) */
  readonly pooling?: Pooling
  /** divide each vector by its length (what modules.json says; true where there is none) */
  readonly normalize?: boolean
  /** keep the first so many numbers of each vector, for models that were trained for it (all) */
  readonly dimensions?: number
}

/** Options of a reranker. */
export interface RerankerOptions extends EncoderOptions {
  /** "sigmoid": scores from 0 to 1; "none": the model's own numbers (what the model's files say, else "sigmoid") */
  readonly activation?: 'sigmoid' | 'none'
}

export const encoderOptionFields: FieldsOf<EncoderOptions> = {
  ...sourceOptionFields,
  device: true,
  deviceOptions: true,
  name: true,
  ignoreFields: true,
  maxTokens: true,
  batchTokens: true,
  truncate: true,
}

export const embedderOptionFields: FieldsOf<EmbedderOptions> = {
  ...encoderOptionFields,
  pooling: true,
  normalize: true,
  dimensions: true,
}

export const rerankerOptionFields: FieldsOf<RerankerOptions> = { ...encoderOptionFields, activation: true }

/** Throws `argument` naming the option: unknown ones, poolings there are not, what is no flag. */
export function checkEmbedderOptions(where: string, options: EmbedderOptions): void {
  checkFields(where, 'options', options, embedderOptionFields)
  if (options.pooling !== undefined) checkChoice(where, 'pooling', options.pooling, ['mean', 'cls', 'last'])
  checkFlags(where, options, ['normalize', 'truncate'])
}

/** Throws `argument` naming the option. */
export function checkRerankerOptions(where: string, options: RerankerOptions): void {
  checkFields(where, 'options', options, rerankerOptionFields)
  if (options.activation !== undefined) checkChoice(where, 'activation', options.activation, ['sigmoid', 'none'])
  checkFlags(where, options, ['truncate'])
}

function checkFlags(where: string, options: object, names: readonly string[]): void {
  for (const [name, value] of Object.entries(options))
    if (names.includes(name) && value !== undefined && typeof value !== 'boolean')
      throw new FoveaError('argument', where, `${name} must be true or false, got ${String(value)}`)
}
