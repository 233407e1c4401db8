/** What a runner is made for; with the specification it decides its memory. */
export interface RunnerLimits {
  /** most tokens of a step */
  readonly tokens: number
  /** most tokens of a step whose logits are asked for */
  readonly rows: number
  /** most sequences of a step, and of decode among them most tokens of each (more than 1 for speculation) */
  readonly sequences: number
  readonly decodeQueries: number
}

/** What of a cache decides how steps attend to it. */
export interface CachePlan {
  readonly pageSize: number
  /** keys that every layer sees at most: the newest `window`, and the first `sinks`; null for all */
  readonly policy: { readonly window: number; readonly sinks: number } | null
  /** most tokens of a sequence */
  readonly maxTokens: number
}
