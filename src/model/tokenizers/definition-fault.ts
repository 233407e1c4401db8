import { FoveaError } from '../../tile/index.ts'
import { shown } from '../files/shown.ts'

/** What a tokenizer.json says that it may not (`format`), or may and nothing here can do (`unsupported`). */
export function definitionFault(code: 'format' | 'unsupported', part: string, value: unknown, message: string) {
  return new FoveaError(code, 'openTokenizer', `${part} ${message}, got ${shown(value)}`)
}
