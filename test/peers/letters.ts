import type { Checkpoint } from '../../src/model/checkpoint.ts'
import type { Tokenizer } from '../../src/model/tokenizer.ts'
import { jsonTokenizer } from '../../src/model/tokenizers/json-tokenizer.ts'

/** llama.cpp opens no model without tokens: the parity models get one letter for each. */
export function letters({ spec }: Pick<Checkpoint, 'spec'>): Tokenizer {
  const vocab = Object.fromEntries(Array.from({ length: spec.vocabSize }, (_, i) => [String.fromCodePoint(33 + i), i]))
  const definition = {
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: [] },
  }
  const ends = { bosToken: spec.bosToken, eosTokens: spec.eosTokens, addBos: false, addEos: false }
  return jsonTokenizer(definition, { file: 'letters', chatTemplate: null, ...ends })
}
