/** The tokens of all documents, one after another. */
export interface TokenStore {
  readonly length: number
  readonly vocabSize: number
  /** where documents begin, ascending from 0 */
  readonly starts: Float64Array
  /** Copies the tokens from `at` on. */
  read(at: number, into: Int32Array): void
}

/** Tokens in memory. */
export function tokenArray(documents: readonly ArrayLike<number>[], vocabSize: number): TokenStore {
  const starts = new Float64Array(documents.length)
  let length = 0
  for (const [index, document] of documents.entries()) {
    starts[index] = length
    length += document.length
  }
  const tokens = new Int32Array(length)
  for (const [index, document] of documents.entries()) tokens.set(document, starts[index])
  return { length, vocabSize, starts, read: (at, into) => into.set(tokens.subarray(at, at + into.length)) }
}

/** The part [from, to) of a store; a document that it cuts begins there anew. */
export function tokenSlice(store: TokenStore, from: number, to: number): TokenStore {
  const inside = store.starts.filter((start) => start > from && start < to)
  return {
    length: to - from,
    vocabSize: store.vocabSize,
    starts: Float64Array.from([0, ...inside.map((start) => start - from)]),
    read: (at, into) => store.read(from + at, into),
  }
}
