import type { FunctionBuilder, LocalScope } from '../assembler/function-builder.ts'
import { get, type Instruction, i32, type Local, op, set, type ValueType } from '../assembler/instruction.ts'

/** Values computed once before a loop, asked for while its body is being emitted. */
export class Hoists {
  readonly #f: FunctionBuilder
  readonly #scope: LocalScope | undefined
  readonly #known = new Map<unknown, Local>()
  readonly statements: Instruction[] = []

  constructor(f: FunctionBuilder) {
    this.#f = f
    this.#scope = f.scope
  }

  /** The local that holds what `make` gives; made once for each key. */
  once(key: unknown, type: ValueType, name: string, make: () => Instruction): Local {
    const known = this.#known.get(key)
    if (known) return known
    const local = this.#f.localOf(this.#scope, type, name)
    this.#known.set(key, local)
    const statements = this.#f.capture(() => {
      this.#f.emit(set(local, make()))
    })
    this.statements.push(...statements)
    return local
  }
}

/** A pointer (or counter) local and what it grows by at each turn of a loop. */
export interface Advance {
  readonly local: Local
  readonly step: number
}

export function advance({ local, step }: Advance, times = 1): Instruction {
  return set(local, op('i32.add', get(local), i32(step * times)))
}
