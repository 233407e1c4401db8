/** What makes tokens of a piece of text. */
export interface TokenModel {
  readonly vocabulary: ReadonlyMap<string, number>
  /** The tokens of a piece, or steps towards them, between which others may run. */
  tokens(piece: string): readonly number[] | Generator<undefined, readonly number[], undefined>
  /** Smaller pieces that no token crosses, where the model knows of any. */
  cut?(piece: string): Iterable<string>
}
