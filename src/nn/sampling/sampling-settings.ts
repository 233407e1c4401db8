import { checkFields, type FieldsOf } from '../../tile/index.ts'

/** How the next token is chosen, per sequence; those of `SamplingOptions` but the seed. Defaults in parentheses. */
export interface SamplingSettings {
  /** scores are divided by it; 0 takes the most likely token (1) */
  readonly temperature?: number
  /** only the k most likely tokens; 0 for all (0) */
  readonly topK?: number
  /** only the most likely tokens that together reach this probability (1) */
  readonly topP?: number
  /** only tokens at least this likely relative to the most likely one (0) */
  readonly minP?: number
  /** divides positive and multiplies negative scores of tokens that occurred (1) */
  readonly repetitionPenalty?: number
  /** subtracted from the score of a token that was generated, once (0) and per occurrence (0) */
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
}

/** The columns of the settings tensor f32 [S, 8] of `sample`, in order; the last one is unused. */
export const settingsFields = [
  'temperature',
  'topK',
  'topP',
  'minP',
  'repetitionPenalty',
  'presencePenalty',
  'frequencyPenalty',
] as const satisfies readonly (keyof SamplingSettings)[]

/** columns of the settings tensor */
export const settingsWidth = 8

/** A row of the settings tensor of `sample`. Values are expected in range. */
export function settingsRow(settings: SamplingSettings): number[] {
  checkFields('settingsRow', 'settings', settings, fields)
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = settings
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = settings
  return [temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, 0]
}

/** Elements of the `seen` tensor i32 [slots, V]: twice the number of times a token was generated, and 1 if the prompt has it. */
export const seenInPrompt = 1
export const seenGenerated = 2

const fields: FieldsOf<SamplingSettings> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repetitionPenalty: true,
  presencePenalty: true,
  frequencyPenalty: true,
}
