/** What JSON can say. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** The tokens of one step. */
export interface Batch {
  /** [batch · length], row by row */
  readonly inputs: Int32Array
  /** [batch · length]: what each token is to be followed by; −1 where nothing is to be learnt */
  readonly targets: Int32Array
  /** [batch · length]: numbers that differ between the documents of one row, for document masks; absent: a row is one */
  readonly documents?: Int32Array
}

/**
 * Batches without end. What comes is a function of what the source was made from and of its state alone: a source made the
 * same way and given the state of another goes on as that one would.
 */
export interface BatchSource {
  /** rows of a batch */
  readonly batch: number
  /** tokens of a row */
  readonly length: number
  next(): Batch
  state(): JsonValue
  /** Throws `format` for what is no state of such a source. */
  restore(state: JsonValue): void
}
