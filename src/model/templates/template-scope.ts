import { TemplateFault, Undefined, type Value } from './template-value.ts'

/** The names that a place in a template sees: its own, then those around it. What is set stays in its own place. */
export class TemplateScope {
  private readonly outer: TemplateScope | null
  private readonly values = new Map<string, Value>()

  constructor(outer: TemplateScope | null) {
    this.outer = outer
  }

  get(name: string): Value {
    for (let scope: TemplateScope | null = this; scope; scope = scope.outer) {
      const value = scope.values.get(name)
      if (value !== undefined) return value
    }
    return new Undefined(`'${name.slice(0, 60)}' is undefined`)
  }

  set(name: string, value: Value): void {
    if (value === undefined) throw new TemplateFault(`'${name}' has no value`)
    this.values.set(name, value)
  }
}
