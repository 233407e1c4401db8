import { bindArguments } from './bind-arguments.ts'
import { listFilters } from './list-filters.ts'
import type { TemplateBudget } from './template-budget.ts'
import { type Arguments, TemplateFault, type Value } from './template-value.ts'
import { textFilters } from './text-filters.ts'

/** Runs `value|name(arguments)`, with the filters of jinja2. */
export function filterValue(budget: TemplateBudget, name: string, value: Value, given: Arguments): Value {
  const filters = Object.hasOwn(textFilters, name) ? textFilters : Object.hasOwn(listFilters, name) ? listFilters : null
  const filter = filters?.[name]
  if (!filter) throw new TemplateFault(`no filter named '${name.slice(0, 60)}'`)
  const bound = filter.parameters === null ? given.positional : bindArguments(name, given, filter.parameters)
  const context = {
    budget,
    filter: (other: string, each: Value, others: Arguments) => {
      budget.spend(1)
      return budget.nested(() => filterValue(budget, other, each, others))
    },
  }
  return filter.run(context, value, bound, given.named)
}
