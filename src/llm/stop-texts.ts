/**
 * Looks for stop texts in a text that arrives in pieces: gives out what can no longer be part of one, and holds back an end
 * that may become one.
 */
export class StopTexts {
  readonly #stops: readonly string[]
  #held = ''
  #stopped = false

  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  /** Was a stop text found? What follows it is ignored. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** The text that is certain after this piece, without the stop text when one ends in it. */
  push(piece: string): string {
    if (this.#stopped) return ''
    const text = this.#held + piece
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0)
    if (found.length > 0) {
      this.#stopped = true
      this.#held = ''
      return text.slice(0, Math.min(...found))
    }
    const kept = Math.max(0, ...this.#stops.map((stop) => overlap(text, stop)))
    this.#held = text.slice(text.length - kept)
    return text.slice(0, text.length - kept)
  }

  /** What was held back, at the end. */
  flush(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}

/** Length of the longest end of `text` that begins `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--)
    if (stop.startsWith(text.slice(text.length - length))) return length
  return 0
}
