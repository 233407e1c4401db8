import { bindArguments } from './bind-arguments.ts'
import { areEqual } from './compare-values.ts'
import type { TemplateBudget } from './template-budget.ts'
import { Callable, TemplateFault, tuple, Undefined, type Value } from './template-value.ts'

/** What `loop` says of itself in the pass of an index: `loop.first`, `loop.index0`, `loop.previtem` … */
export function loopFields(
  budget: TemplateBudget,
  items: readonly Value[],
  depth: number,
): (index: number, name: string) => Value | undefined {
  const count = items.length
  let last: Value | undefined
  const methods: Readonly<Record<string, (index: number, values: readonly Value[]) => Value>> = {
    cycle(index, values) {
      if (values.length === 0) throw new TemplateFault('no items for cycling given')
      return values[index % values.length] ?? null
    },
    changed(_, values) {
      const now = tuple(values)
      const isNew = last === undefined || !areEqual(budget, last, now)
      last = now
      return isNew
    },
  }
  return (index, name) => {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined
    if (method)
      return new Callable(name, (given) => {
        bindArguments(name, { positional: [], named: given.named }, [])
        return method(index, given.positional)
      })
    switch (name) {
      case 'index':
        return index + 1
      case 'index0':
        return index
      case 'revindex':
        return count - index
      case 'revindex0':
        return count - index - 1
      case 'first':
        return index === 0
      case 'last':
        return index === count - 1
      case 'length':
        return count
      case 'depth':
        return depth + 1
      case 'depth0':
        return depth
      case 'previtem':
        return index > 0 ? items[index - 1] : new Undefined('there is no previous item')
      case 'nextitem':
        return index + 1 < count ? items[index + 1] : new Undefined('there is no next item')
      default:
        return undefined
    }
  }
}
