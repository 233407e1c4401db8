import { FoveaError } from '../../tile/index.ts'
import type { Tokenizer } from '../tokenizer.ts'

/** What a model says of its tokens, whatever its tokenizer does. */
export interface ModelTokens {
  readonly architecture: string
  readonly vocabSize: number
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
}

/**
 * The tokenizer of a model that brought none: it refuses to encode (`unsupported`, naming the model), and every token is
 * the empty text, so that a model can still be run on token ids.
 */
export function missingTokenizer(source: string, spec: ModelTokens): Tokenizer {
  const refused = (where: string) =>
    new FoveaError('unsupported', where, `${source} has no tokenizer that is read; give token ids instead of text`)
  const ends = new Set([...spec.eosTokens, ...(spec.bosToken === null ? [] : [spec.bosToken])])
  return {
    vocabSize: spec.vocabSize,
    bosToken: spec.bosToken,
    eosTokens: spec.eosTokens,
    encode() {
      throw refused('encode')
    },
    async encodeAsync() {
      throw refused('encodeAsync')
    },
    decode: () => '',
    piece: () => ({ text: '', bytes: new Uint8Array() }),
    isSpecial: (token) => ends.has(token),
    hasChatTemplate: false,
    applyChatTemplate() {
      throw refused('applyChatTemplate')
    },
    async encodeChat() {
      throw refused('encodeChat')
    },
  }
}
