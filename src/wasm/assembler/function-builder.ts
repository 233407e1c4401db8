import {
  branch,
  type FunctionReference,
  get,
  type Instruction,
  i32,
  type Label,
  type Local,
  op,
  set,
  type ValueType,
} from './instruction.ts'

/** A function of a module: its locals (parameters first) and its statements. */
export interface FunctionDefinition extends FunctionReference {
  readonly exported: boolean
  readonly locals: readonly Local[]
  readonly body: readonly Instruction[]
}

/** The locals made since `scoped` was entered. */
export type LocalScope = Local[]

/** Collects the statements of one function; nested statements go through `block`, `loop`, `when`. */
export class FunctionBuilder {
  readonly name: string
  readonly parameters: readonly Local[]
  readonly result: ValueType | undefined
  readonly #locals: Local[] = []
  readonly #names = new Map<string, number>()
  readonly #free = new Map<string, Local[]>()
  #scope: LocalScope | undefined
  #body: Instruction[] = []

  constructor(name: string, parameters: readonly (readonly [name: string, type: ValueType])[], result?: ValueType) {
    this.name = name
    this.result = result
    this.parameters = parameters.map(([parameter, type]) => this.local(type, parameter))
  }

  /** A local that is free here; `name` is made unique within the function. It is not zero. */
  local(type: ValueType, name: string = type): Local {
    return this.localOf(this.#scope, type, name)
  }

  /** A local that serves until `scope` ends, whatever scope is open now. Its name must not be used in inner scopes. */
  localOf(scope: LocalScope | undefined, type: ValueType, name: string): Local {
    const reused = this.#free.get(`${type} ${name}`)?.pop()
    const local = reused ?? this.#fresh(type, name)
    scope?.push(local)
    return local
  }

  get scope(): LocalScope | undefined {
    return this.#scope
  }

  /** Locals made inside `write` serve again after it. */
  scoped<T>(write: () => T): T {
    const outer = this.#scope
    const own: LocalScope = []
    this.#scope = own
    try {
      return write()
    } finally {
      this.#scope = outer
      for (const local of own) {
        const key = `${local.type} ${local.name.split('.')[0]}`
        const free = this.#free.get(key)
        if (free) free.push(local)
        else this.#free.set(key, [local])
      }
    }
  }

  #fresh(type: ValueType, name: string): Local {
    const seen = this.#names.get(name) ?? 0
    this.#names.set(name, seen + 1)
    const local = { name: seen === 0 ? name : `${name}.${seen}`, type }
    this.#locals.push(local)
    return local
  }

  /** A new local that holds `value`; returns it. */
  let(value: Instruction, name?: string): Local {
    if (value.type === undefined)
      throw new TypeError(`${this.name}: let ${name ?? ''} of an instruction without a result`)
    const local = this.local(value.type, name)
    this.emit(set(local, value))
    return local
  }

  emit(...statements: Instruction[]): void {
    for (const statement of statements) {
      if (statement.type !== undefined) throw new TypeError(`${this.name}: a statement leaves a ${statement.type}`)
      this.#body.push(statement)
    }
  }

  comment(text: string): void {
    this.#body.push({ kind: 'comment', text, type: undefined })
  }

  /** Statements emitted inside `write`, as a list and not in the function. */
  capture(write: () => void): Instruction[] {
    const outer = this.#body
    const inner: Instruction[] = []
    this.#body = inner
    try {
      write()
    } finally {
      this.#body = outer
    }
    return inner
  }

  /** A block; branching to its label leaves it. */
  block(name: string, write: (label: Label) => void): void {
    const label = { name }
    this.emit({ kind: 'block', label, body: this.capture(() => write(label)), type: undefined })
  }

  /** A loop; branching to its label starts the next turn. */
  loop(name: string, write: (label: Label) => void): void {
    const label = { name }
    this.emit({ kind: 'loop', label, body: this.capture(() => write(label)), type: undefined })
  }

  when(condition: Instruction, then: () => void, otherwise?: () => void): void {
    this.emit({
      kind: 'if',
      condition,
      then: this.capture(then),
      else: otherwise ? this.capture(otherwise) : [],
      type: undefined,
    })
  }

  /** `for (counter = start; counter < end; counter += step)`, signed; `end` is evaluated each turn. */
  forRange(counter: Local, start: Instruction, end: Instruction, step: number, write: () => void): void {
    this.emit(set(counter, start))
    this.when(op('i32.lt_s', get(counter), end), () => {
      this.loop(`next-${counter.name}`, (again) => {
        write()
        this.emit(set(counter, op('i32.add', get(counter), i32(step))))
        this.emit(branch(again, op('i32.lt_s', get(counter), end)))
      })
    })
  }

  /** A loop of a known number of turns, at least one: pointer locals advance by their step each turn. */
  repeat(turns: number, pointers: readonly (readonly [Local, number])[], write: () => void): void {
    if (turns === 1) {
      write()
      for (const [pointer, step] of pointers) this.emit(set(pointer, op('i32.add', get(pointer), i32(step))))
      return
    }
    const counter = this.let(i32(turns), 'turns')
    this.loop('again', (again) => {
      write()
      for (const [pointer, step] of pointers) this.emit(set(pointer, op('i32.add', get(pointer), i32(step))))
      this.emit(set(counter, op('i32.sub', get(counter), i32(1))))
      this.emit(branch(again, get(counter)))
    })
  }

  finish(exported = false): FunctionDefinition {
    return {
      name: this.name,
      parameters: this.parameters.map((parameter) => parameter.type),
      result: this.result,
      exported,
      locals: this.#locals,
      body: this.#body,
    }
  }
}
