/** What a scaling of rotary positions gives: radians per position of each pair, and a factor of both outputs. */
export interface RopeFrequencies {
  /** rotaryDim / 2 of them, the fastest first */
  readonly inverseFrequencies: readonly number[]
  readonly attentionFactor: number
}

/** What every scaling starts from. */
export interface RopeBase {
  /** elements of a head that turn, even */
  readonly rotaryDim: number
  /** base of the geometric series of wavelengths */
  readonly theta: number
}
