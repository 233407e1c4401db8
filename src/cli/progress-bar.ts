/** A line on the standard error that is written over, where that is a terminal; elsewhere a line every few seconds. */
export class ProgressBar {
  readonly #label: string
  readonly #unit: string
  readonly #start = performance.now()
  #last = Number.NEGATIVE_INFINITY
  #drawn = false

  constructor(label: string, unit = 'tokens') {
    this.#label = label
    this.#unit = unit
  }

  update(done: number, total: number, note = ''): void {
    const now = performance.now()
    const terminal = process.stderr.isTTY === true
    if (now - this.#last < (terminal ? 100 : 5000) && done < total) return
    this.#last = now
    const seconds = (now - this.#start) / 1000
    const rate = seconds > 0 ? done / seconds : 0
    const left = rate > 0 && done < total ? `, ${Math.ceil((total - done) / rate)} s left` : ''
    const share = total > 0 ? done / total : 1
    const filled = Math.round(24 * share)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(24 - filled)}`
    const line = `${this.#label} ${bar} ${done}/${total} ${this.#unit}, ${rate.toFixed(0)}/s${left}${note}`
    process.stderr.write(terminal ? `\r\x1b[2K${line}` : `${line}\n`)
    this.#drawn = true
  }

  /** Takes the line away, where it can be. */
  clear(): void {
    if (this.#drawn && process.stderr.isTTY === true) process.stderr.write('\r\x1b[2K')
    this.#drawn = false
  }
}
