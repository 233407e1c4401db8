/**
 * Lines of WGSL in nested scopes. `share` names an expression once per scope and gives the name again for the same text, so
 * that renderers may ask for addresses and conditions as often as they like. Shared expressions must be built from immutable
 * names only.
 */
export class TextWriter {
  readonly lines: string[] = []
  #indent: string
  #scopes: Map<string, string>[] = [new Map()]
  #names: { next: number }

  constructor(indent = '', names: { next: number } = { next: 0 }) {
    this.#indent = indent
    this.#names = names
  }

  line(text: string): void {
    this.lines.push(this.#indent + text)
  }

  /** `opening {`, the lines that `body` writes, `}`; names shared inside are forgotten after it */
  block(opening: string, body: () => void): void {
    this.line(`${opening}${opening ? ' ' : ''}{`)
    const indent = this.#indent
    this.#indent += '  '
    this.#scopes.push(new Map())
    body()
    this.#scopes.pop()
    this.#indent = indent
    this.line('}')
  }

  /** a writer for the inside of a block that may still be thrown away: what it shares stays its own */
  draft(): TextWriter {
    const draft = new TextWriter(`${this.#indent}  `, this.#names)
    draft.#scopes = [...this.#scopes, new Map()]
    return draft
  }

  append(draft: TextWriter): void {
    this.lines.push(...draft.lines)
  }

  /** a name used nowhere else */
  fresh(prefix: string): string {
    return `${prefix}_${this.#names.next++}`
  }

  /** a new name for what an expression is now */
  declare(expression: string, prefix = 't'): string {
    const name = this.fresh(prefix)
    this.line(`let ${name} = ${expression};`)
    return name
  }

  /** the name of an immutable expression, declared on its first use in the open scopes */
  share(expression: string, prefix = 't'): string {
    if (/^-?\w+$/.test(expression)) return expression
    for (const scope of this.#scopes) {
      const known = scope.get(expression)
      if (known) return known
    }
    const name = this.declare(expression, prefix)
    this.#scopes.at(-1)?.set(expression, name)
    return name
  }
}
