import { TemplateFault } from './template-value.ts'

/**
 * What rendering may cost. A template comes with a file that nobody has read: each operation is a step, what handles many
 * values or characters is as many as it handles (characters by 32), and when the steps are used up, rendering ends. So a loop of
 * 10⁹ ends in milliseconds, and a text that doubles itself before it fills the memory.
 */
export class TemplateBudget {
  /** characters that a text, and all that is written, may have */
  readonly longest: number
  readonly steps: number
  private left: number
  private depth = 0
  private written = 0

  /** `size`: characters and values that the caller gave; the more there is to write, the longer it may take */
  constructor(size: number) {
    this.steps = 1_000_000 + 300 * size
    this.longest = 4_000_000 + 100 * size
    this.left = this.steps
  }

  spend(steps: number): void {
    this.left -= steps
    if (this.left < 0) throw new TemplateFault(`the template has not ended after ${this.steps} steps`)
  }

  /** Before a text of that length is made. */
  text(length: number): void {
    if (length > this.longest)
      throw new TemplateFault(`the template makes a text of ${length} characters; at most ${this.longest} are written`)
    this.spend(1 + length / 32)
  }

  write(length: number): void {
    this.written += length
    this.text(this.written === 0 ? 0 : length)
    if (this.written > this.longest) throw new TemplateFault(`the template writes more than ${this.longest} characters`)
  }

  /** Runs what is nested one level deeper; macros that call themselves end here instead of at the end of the stack. */
  nested<T>(run: () => T): T {
    this.depth++
    if (this.depth > 200) throw new TemplateFault('the template calls itself more than 200 levels deep')
    try {
      return run()
    } finally {
      this.depth--
    }
  }
}
