import type { TemplateBudget } from './template-budget.ts'
import type { Arguments, Value } from './template-value.ts'

/** What a filter may use. */
export interface FilterContext {
  readonly budget: TemplateBudget
  /** another filter, by its name */
  readonly filter: (name: string, value: Value, given: Arguments) => Value
}

export interface TemplateFilter {
  /** names of its arguments; null takes any */
  readonly parameters: readonly string[] | null
  readonly run: (
    context: FilterContext,
    value: Value,
    given: readonly (Value | undefined)[],
    named: ReadonlyMap<string, Value>,
  ) => Value
}
