import { isRecord } from '../../model/architectures/config-fields.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { wordPattern } from '../tokenizer/word-pattern.ts'

/** words that are remembered; a text has most of its words from a few thousand */
const rememberedWords = 2 ** 18

/**
 * Text to tokens, without begin and end tokens: what `tokenizer.encode` gives, some twenty times faster for byte-level
 * tokenizers that split as `trainTokenizer` makes them split, because each word is encoded once.
 */
export function documentEncoder(tokenizer: Tokenizer): (text: string) => number[] {
  const whole = (text: string) => tokenizer.encode(text, { special: false })
  const form = wordForm(tokenizer.definition)
  if (!form) return whole
  const pattern = wordPattern(form.splitDigits)
  const remembered = new Map<string, readonly number[]>()
  return (text) => {
    // special tokens that are written out in a text are found before it is split
    if (form.added.some((token) => text.includes(token))) return whole(text)
    const tokens: number[] = []
    pattern.lastIndex = 0
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      const word = match[0]
      let own = remembered.get(word)
      if (!own) {
        own = whole(word)
        if (remembered.size < rememberedWords) remembered.set(word, own)
      }
      for (const token of own) tokens.push(token)
    }
    return tokens
  }
}

/** How a definition splits a text into words, where it is one of the two ways that `wordPattern` knows. */
function wordForm(definition: unknown): { splitDigits: boolean; added: readonly string[] } | null {
  if (!isRecord(definition) || !isRecord(definition.model) || definition.model.type !== 'BPE') return null
  if (definition.normalizer !== null && definition.normalizer !== undefined) return null
  const steps = stepsOf(definition.pre_tokenizer)
  const last = steps.at(-1)
  if (last?.type !== 'ByteLevel' || last.add_prefix_space !== false || last.use_regex === false) return null
  const added = Array.isArray(definition.added_tokens) ? definition.added_tokens.filter(isRecord) : []
  const texts = added.map(({ content }) => String(content))
  if (steps.length === 1) return { splitDigits: false, added: texts }
  const digits = steps.length === 2 && steps[0]?.type === 'Digits' && steps[0].individual_digits === true
  return digits ? { splitDigits: true, added: texts } : null
}

function stepsOf(step: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (!isRecord(step)) return []
  return Array.isArray(step.pretokenizers) ? step.pretokenizers.flatMap(stepsOf) : [step]
}
