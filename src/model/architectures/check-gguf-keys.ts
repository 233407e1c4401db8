import { FoveaError } from '../../tile/index.ts'
import type { GgufTable } from '../files/gguf.ts'
import { unreadFault } from './check-unread.ts'
import { isNeutral } from './harmless-fields.ts'

/** Keys of an architecture that change nothing of what a decoder computes. */
const harmless: ReadonlySet<string> = new Set([
  // tensors say it themselves; how they lie in the file
  ...['vocab_size', 'tensor_data_layout'],
  // of embeddings of whole texts, and of how the model was made
  ...['pooling_type', 'rope.scaling.finetuned'],
  // epsilons of the kind of norm that the architecture does not have
  ...['attention.layer_norm_epsilon', 'attention.layer_norm_rms_epsilon', 'attention.group_norm_epsilon'],
])

const ofTokenizers =
  /^(model|pre|tokens|token_type|token_type_count|scores|merges|\w+_token_ids?|add_(bos|eos|sep)_token|add_space_prefix|remove_extra_whitespaces|escape_whitespaces|precompiled_charsmap|charsmap|normalizer\..+)$/

/**
 * No key that llama.cpp gives a meaning is read past in silence: those of the architecture that nobody asked for (`isRead`),
 * and those of tokenizers that are not known, must say nothing or be `ignored`. Keys of `general`, `quantize`, `split` and
 * of programs' own name the file and change nothing; parts of a split model are refused where the file is opened.
 *
 * Throws `unsupported` naming file, key and value; also for a file that is no model by its `general.type`, and for attention
 * that is not causal where it should be (`isCausal`), and the other way round.
 */
export function checkGgufKeys(
  table: Pick<GgufTable, 'source' | 'metadata'>,
  ggufName: string,
  isRead: (name: string) => boolean,
  ignored: readonly string[] = [],
  isCausal = true,
): void {
  const config = { file: table.source }
  const kind = table.metadata.get('general.type')
  if (kind !== undefined && kind !== 'model')
    throw new FoveaError('unsupported', 'openCheckpoint', `${table.source}: general.type is ${String(kind)}, no model`)
  for (const [key, value] of table.metadata) {
    if (ignored.includes(key)) continue
    const [owner, name] = [key.slice(0, key.indexOf('.')), key.slice(key.indexOf('.') + 1)]
    if (owner === 'tokenizer' && name.startsWith('ggml.')) {
      if (ofTokenizers.test(name.slice('ggml.'.length)) || isNeutral(value)) continue
      throw unreadFault(config, key, value, 'no setting of a tokenizer that is known here')
    }
    if (owner !== ggufName) continue
    // true is the usual thing to say here of a decoder, false of an encoder
    const usual =
      name === 'attention.causal' ? value === isCausal : isNeutral(value) || isRead(name) || harmless.has(name)
    if (!usual) throw unreadFault(config, key, value, `no setting of ${ggufName} that is computed here`)
  }
}
