import { type AddedToken, addedTokens } from './added-tokens.ts'
import { findAddedTokens, type TextParts } from './find-added-tokens.ts'
import { textNormalizer } from './normalize-text.ts'
import { preTokenizer } from './pre-tokenizer.ts'
import { readTokenModel } from './read-token-model.ts'

/** Text to tokens as a definition says, without what stands around a text. */
export interface TokenEncoder {
  readonly vocabulary: ReadonlyMap<string, number>
  readonly added: readonly AddedToken[]
  /** The tokens of a text, in steps between which others may run. `specialAsText`: where special tokens are text like any other. */
  steps(text: string, specialAsText: TextParts): Generator<undefined, number[], undefined>
}

/** words that are remembered: a text has most of its words from a few thousand */
const rememberedWords = 2 ** 16
const longestRemembered = 64
/** pieces between two chances for others to run */
const stride = 256

/**
 * Encodes as a tokenizer.json says, as the Rust library of Hugging Face's tokenizers does: added tokens are found, what is
 * between them is normalised, added tokens are found again that are looked for in normalised text, the rest is cut and each
 * piece becomes tokens. Throws `format` and `unsupported` naming the part of the definition.
 */
export function tokenEncoder(definition: Readonly<Record<string, unknown>>): TokenEncoder {
  const model = readTokenModel(definition.model)
  const normalize = textNormalizer(definition.normalizer)
  const { cut, spell } = preTokenizer(definition.pre_tokenizer)
  const added = addedTokens(definition.added_tokens, model.vocabulary, normalize)
  const findRaw = findAddedTokens(added.filter((token) => !token.normalized))
  const findNormalized = findAddedTokens(added.filter((token) => token.normalized))
  const remembered = new Map<string, readonly number[]>()
  const split = model.cut?.bind(model)

  function* pieces(text: string, specialAsText: TextParts): Generator<string | AddedToken, void, undefined> {
    for (const outer of findRaw(text, specialAsText)) {
      if ('token' in outer) {
        yield outer.token
        continue
      }
      const { start } = outer
      const inText = within(specialAsText, start, start + outer.text.length, normalize === null)
      for (const inner of findNormalized(normalize ? normalize(outer.text) : outer.text, inText)) {
        if ('token' in inner) yield inner.token
        else if (split) for (const piece of cut(inner.text, outer.start + inner.start === 0)) yield* split(piece)
        else yield* cut(inner.text, outer.start + inner.start === 0)
      }
    }
  }

  return {
    vocabulary: model.vocabulary,
    added,
    *steps(text, specialAsText) {
      const tokens: number[] = []
      let count = 0
      // half a pair of surrogates is no character; UTF-8 has U+FFFD for it
      for (const piece of pieces(text.replace(/\p{Surrogate}/gu, '\uFFFD'), specialAsText)) {
        if (++count % stride === 0) yield
        if (typeof piece !== 'string') {
          tokens.push(piece.id)
          continue
        }
        let own = remembered.get(piece)
        if (!own) {
          const made = model.tokens(spell ? spell(piece) : piece)
          own = isDone(made) ? made : yield* made
          if (piece.length <= longestRemembered) {
            if (remembered.size === rememberedWords) remembered.clear()
            remembered.set(piece, own)
          }
        }
        for (const token of own) tokens.push(token)
      }
      return tokens
    },
  }
}

/** The parts of a stretch, counted from its start; where they can no longer be told, all of it, if it has any. */
function within(parts: TextParts, start: number, end: number, exact: boolean): TextParts {
  if (typeof parts === 'boolean') return parts
  const own = parts.filter(([from, to]) => from < end && to > start)
  if (!exact) return own.length > 0
  return own.map(([from, to]) => [from - start, to - start] as const)
}

function isDone<T, S>(made: readonly T[] | S): made is readonly T[] {
  return Array.isArray(made)
}
