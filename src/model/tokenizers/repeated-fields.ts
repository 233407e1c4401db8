import { isRecord } from '../architectures/config-fields.ts'
import type { TokenizerDefinition } from './json-tokenizer.ts'
import { prependScheme } from './pre-tokenizer.ts'

/**
 * Fields of tokenizer_config.json that say again what tokenizer.json says, and what it says. Classes of transformers differ in
 * which of the two they follow where they differ; where both say the same, all do the same.
 */
export const repeatedFields: Readonly<Record<string, (definition: TokenizerDefinition) => boolean>> = {
  add_prefix_space: ({ normalizer, pre_tokenizer }) =>
    [...steps(normalizer, 'normalizers'), ...steps(pre_tokenizer, 'pretokenizers')].some(
      (step) =>
        step.type === 'Prepend' ||
        (step.type === 'ByteLevel' && step.add_prefix_space !== false) ||
        (step.type === 'Metaspace' && prependScheme(step) !== 'never'),
    ),
  do_lower_case: ({ normalizer }) =>
    steps(normalizer, 'normalizers').some(
      (step) => step.type === 'Lowercase' || (step.type === 'BertNormalizer' && step.lowercase !== false),
    ),
  tokenize_chinese_chars: ({ normalizer }) =>
    steps(normalizer, 'normalizers').some(
      (step) => step.type === 'BertNormalizer' && step.handle_chinese_chars !== false,
    ),
  strip_accents: ({ normalizer }) =>
    steps(normalizer, 'normalizers').some(
      (step) =>
        step.type === 'StripAccents' ||
        (step.type === 'BertNormalizer' && (step.strip_accents ?? step.lowercase) !== false),
    ),
  // transformers (5.18) takes spaces before punctuation out of what was decoded, but for BPE
  clean_up_tokenization_spaces: ({ model, decoder }) =>
    (isRecord(model) && (model.type === 'BPE' || Array.isArray(model.merges))) ||
    steps(decoder, 'decoders').some((step) => step.type === 'WordPiece' && step.cleanup !== false),
}

/** The steps of a normaliser, of a way of cutting or of a decoder. */
function steps(part: unknown, inner: string): Readonly<Record<string, unknown>>[] {
  if (!isRecord(part)) return []
  const list = part[inner]
  return Array.isArray(list) ? list.flatMap((each) => steps(each, inner)) : [part]
}
