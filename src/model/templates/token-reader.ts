import type { TemplateToken, TemplateTokenKind } from './template-tokens.ts'
import { TemplateFault } from './template-value.ts'

/** deeper than anyone writes by hand; the parser and what runs the tree call themselves once for each level */
const deepest = 100

/** The tokens of a template, read one after another. */
export class TokenReader {
  private readonly tokens: readonly TemplateToken[]
  private at = 0
  private depth = 0

  constructor(tokens: readonly TemplateToken[]) {
    this.tokens = tokens
  }

  get current(): TemplateToken {
    return this.tokens[Math.min(this.at, this.tokens.length - 1)] as TemplateToken
  }

  get following(): TemplateToken {
    return this.tokens[Math.min(this.at + 1, this.tokens.length - 1)] as TemplateToken
  }

  next(): TemplateToken {
    const token = this.current
    this.at++
    return token
  }

  is(kind: TemplateTokenKind, ...texts: readonly string[]): boolean {
    return this.current.kind === kind && (texts.length === 0 || texts.includes(this.current.text))
  }

  /** Takes the token if it is this one. */
  skip(kind: TemplateTokenKind, text: string): boolean {
    const found = this.is(kind, text)
    if (found) this.at++
    return found
  }

  expect(kind: TemplateTokenKind, text?: string): TemplateToken {
    if (this.current.kind !== kind || (text !== undefined && this.current.text !== text))
      throw this.fault(`expected ${text ? `'${text}'` : kind}, got ${this.shown}`)
    return this.next()
  }

  nested<T>(read: () => T): T {
    this.depth++
    if (this.depth > deepest) throw this.fault(`nested more than ${deepest} levels deep`)
    const result = read()
    this.depth--
    return result
  }

  fault(message: string): TemplateFault {
    return new TemplateFault(`line ${this.current.line}: ${message}`)
  }

  get shown(): string {
    const { kind, text } = this.current
    return text === '' ? kind : `'${text.slice(0, 40)}'`
  }
}
