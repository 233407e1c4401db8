import { printProgram } from '../ir/print.ts'
import type { Program } from '../ir/schedule.ts'

/**
 * What was compiled from programs, by their printed text: programs built anew that say the same share it, and what is a
 * run-time value in a program never compiles again.
 */
export class ProgramCache<Compiled> {
  readonly #texts = new WeakMap<Program, string>()
  readonly #compiled = new Map<string, Compiled>()

  get(program: Program): Compiled | undefined {
    return this.#compiled.get(this.#textOf(program))
  }

  set(program: Program, compiled: Compiled): Compiled {
    this.#compiled.set(this.#textOf(program), compiled)
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
