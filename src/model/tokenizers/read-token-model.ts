import { isRecord } from '../architectures/config-fields.ts'
import { bpeModel } from './bpe-model.ts'
import { definitionFault } from './definition-fault.ts'
import type { TokenModel } from './token-model.ts'
import { unigramModel } from './unigram-model.ts'
import { wordPieceModel } from './word-piece-model.ts'

/**
 * A tokenizer.json's `model`. One without a type is told by what it has, as older files are. Throws `format` and
 * `unsupported` naming the field.
 */
export function readTokenModel(definition: unknown): TokenModel {
  if (!isRecord(definition)) throw definitionFault('format', 'model', definition, 'must be an object')
  const type =
    definition.type ??
    (Array.isArray(definition.merges) ? 'BPE' : Array.isArray(definition.vocab) ? 'Unigram' : 'WordPiece')
  if (type === 'BPE') return bpeModel(definition)
  if (type === 'Unigram') return unigramModel(definition)
  if (type === 'WordPiece') return wordPieceModel(definition)
  throw definitionFault('unsupported', 'model.type', type, 'must be BPE, Unigram or WordPiece')
}
