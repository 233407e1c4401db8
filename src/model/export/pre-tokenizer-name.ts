import { isRecord } from '../architectures/config-fields.ts'
import { ggufPreTokenizer } from '../tokenizers/gguf-pre-tokenizers.ts'

/** Names of `tokenizer.ggml.pre` that are given, each the first of those that cut alike. */
const names = ['gpt-2', 'smollm', 'llama-bpe', 'dbrx', 'qwen2', 'deepseek-v3', 'gpt-4o', 'tekken'] as const

const insensitive = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const gpt4 = (digits: string) =>
  `${insensitive}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

const [upper, lower] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]']
const gpt4o =
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${insensitive}?|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${insensitive}?` +
  '|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

/** The expressions of tokenizer.json files that are written otherwise than ours and cut the same. */
const published: Readonly<Record<string, readonly string[]>> = {
  [gpt4('{1,3}')]: ['llama-bpe', 'dbrx'],
  [gpt4('')]: ['qwen2'],
  [gpt4o]: ['gpt-4o'],
}

/**
 * The name by which llama.cpp knows a tokenizer.json's way of cutting the text before merging, undefined where it has
 * none. `ignoreMerges`: is a piece that is a token taken whole?
 */
export function preTokenizerName(preTokenizer: unknown, ignoreMerges: boolean): string | undefined {
  const steps = stepsOf(preTokenizer)
  const described = JSON.stringify(steps)
  return names.find((name) => {
    const known = ggufPreTokenizer(name)
    if (!known || known.ignoreMerges !== ignoreMerges) return false
    if (JSON.stringify(stepsOf(known.preTokenizer)) === described) return true
    const [split, last, ...more] = steps
    const isPublished = typeof split === 'string' && published[split]?.includes(name)
    return isPublished === true && last === 'bytes' && more.length === 0
  })
}

/** What the steps do, without what has no effect on it: an expression, "digits", or bytes cut as GPT-2 cuts or not at all. */
function stepsOf(part: unknown): unknown[] {
  if (!isRecord(part)) return [part]
  if (part.type === 'Sequence' && Array.isArray(part.pretokenizers)) return part.pretokenizers.flatMap(stepsOf)
  if (part.type === 'Digits' && part.individual_digits === true) return ['digits']
  if (part.type === 'ByteLevel' && part.add_prefix_space !== true)
    return [part.use_regex === false ? 'bytes' : 'bytes as GPT-2']
  const regex = isRecord(part.pattern) ? part.pattern.Regex : undefined
  // what is cut by matches all of a text, so that to keep them apart and to remove the rest is the same
  const [kept, removed] = [
    part.behavior === 'Isolated' && part.invert !== true,
    part.behavior === 'Removed' && part.invert === true,
  ]
  if (part.type === 'Split' && typeof regex === 'string' && (kept || (removed && Object.hasOwn(published, regex))))
    return [regex]
  return [part]
}
