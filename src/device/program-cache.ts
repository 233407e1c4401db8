import { printProgram } from '../ir/print.ts'
import type { Program } from '../ir/schedule.ts'

/** programs that a cache holds; those of a model are fewer than a hundred */
const maxPrograms = 512

/**
 * What was compiled from programs, by their printed text: programs built anew that say the same share it, and what is a
 * run-time value in a program never compiles again. Of more than 512 the longest unused goes.
 */
export class ProgramCache<Compiled> {
  readonly #texts = new WeakMap<Program, string>()
  /** by when they were last used */
  readonly #compiled = new Map<string, Compiled>()
  readonly #dropped: (compiled: Compiled) => void

  /** `dropped` is told what the cache gives up for want of room. */
  constructor(dropped: (compiled: Compiled) => void = () => {}) {
    this.#dropped = dropped
  }

  get(program: Program): Compiled | undefined {
    const text = this.#textOf(program)
    const compiled = this.#compiled.get(text)
    if (compiled === undefined) return undefined
    this.#compiled.delete(text)
    this.#compiled.set(text, compiled)
    return compiled
  }

  set(program: Program, compiled: Compiled): Compiled {
    const text = this.#textOf(program)
    this.#compiled.delete(text)
    this.#compiled.set(text, compiled)
    if (this.#compiled.size > maxPrograms) {
      const [oldest, unused] = this.#compiled.entries().next().value as [string, Compiled]
      this.#compiled.delete(oldest)
      this.#dropped(unused)
    }
    return compiled
  }

  delete(program: Program): void {
    this.#compiled.delete(this.#textOf(program))
  }

  #textOf(program: Program): string {
    const known = this.#texts.get(program)
    if (known !== undefined) return known
    const text = printProgram(program)
    this.#texts.set(program, text)
    return text
  }
}
