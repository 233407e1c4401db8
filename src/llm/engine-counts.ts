/** Counts since the engine opened. */
export interface EngineCounts {
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  steps: number
  draftTokens: number
  acceptedTokens: number
  readonly finished: { stop: number; length: number; cancelled: number; failed: number }
}

/** Counts at the beginning. */
export function engineCounts(): EngineCounts {
  return {
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    steps: 0,
    draftTokens: 0,
    acceptedTokens: 0,
    finished: { stop: 0, length: 0, cancelled: 0, failed: 0 },
  }
}
