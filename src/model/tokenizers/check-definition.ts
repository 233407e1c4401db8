import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import { shown } from '../files/shown.ts'

/** ids without a token below the highest id: rows that were kept free, and vocabularies that others were cut out of */
const mostUnused = 2 ** 20

/**
 * Checks of a tokenizer.json what decides how much is allocated and looped over: tables are as long as their highest id, so
 * that ids are whole numbers of at most twice as many as there are tokens, and 2^20 beside; names and merges are texts.
 *
 * Throws `format` naming file and field.
 */
export function checkDefinition(file: string, definition: Readonly<Record<string, unknown>>): void {
  const fault = (field: string, message: string) =>
    new FoveaError('format', 'openCheckpoint', `${file}: ${field} ${message}`)
  const { model, added_tokens: added = [] } = definition
  if (!isRecord(model)) throw fault('model', `must be an object, got ${shown(model)} (there is no model)`)
  if (added !== null && !Array.isArray(added)) throw fault('added_tokens', `must be a list, got ${shown(added)}`)
  const { vocab, merges } = model
  if (!isRecord(vocab) && !Array.isArray(vocab)) throw fault('model.vocab', `must list tokens, got ${shown(vocab)}`)

  const named = Array.isArray(vocab) ? [] : Object.entries(vocab)
  const tokens = (Array.isArray(vocab) ? vocab.length : named.length) + (added?.length ?? 0)
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 * tokens + mostUnused
  const noId = `is no id of a token; the highest that ${tokens} tokens may have is ${2 * tokens + mostUnused - 1}`
  for (const [token, id] of named) if (!isId(id)) throw fault(`model.vocab: ${shown(token)}`, `${shown(id)} ${noId}`)
  if (Array.isArray(vocab)) {
    const wrong = vocab.findIndex((entry) => !isPiece(entry))
    if (wrong >= 0) throw fault(`model.vocab[${wrong}]`, `must be a text and its score, got ${shown(vocab[wrong])}`)
  }
  for (const [i, token] of (added ?? []).entries()) {
    if (!isRecord(token) || typeof token.content !== 'string')
      throw fault(`added_tokens[${i}]`, `must have a content, got ${shown(token)}`)
    if (!isId(token.id)) throw fault(`added_tokens[${i}].id`, `${shown(token.id)} ${noId}`)
  }
  if (merges === undefined || merges === null) return
  if (!Array.isArray(merges)) throw fault('model.merges', `must be a list, got ${shown(merges)}`)
  // as strings "left right", or as pairs
  const isMerge = Array.isArray(merges[0]) ? isPair : (merge: unknown) => typeof merge === 'string'
  const wrong = merges.findIndex((merge) => !isMerge(merge))
  if (wrong >= 0) throw fault(`model.merges[${wrong}]`, `is no pair of texts like the others: ${shown(merges[wrong])}`)
}

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')
}

function isPiece(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'number'
}
