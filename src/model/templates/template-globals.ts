import { bindArguments } from './bind-arguments.ts'
import { listOf } from './compare-values.ts'
import { plain } from './marked-text.ts'
import { pythonText } from './python-text.ts'
import { strftime } from './strftime.ts'
import type { TemplateBudget } from './template-budget.ts'
import {
  type Arguments,
  Callable,
  Dict,
  Namespace,
  plainOf,
  TemplateFault,
  type Value,
  wholeNumber,
} from './template-value.ts'

/** as much as jinja2's sandbox allows */
const longestRange = 100_000

/** The functions that a template of a model can call: those of jinja2, and the two that transformers adds. */
export function templateGlobals(budget: TemplateBudget, now: () => Date): ReadonlyMap<string, Value> {
  const functions: Readonly<Record<string, (given: Arguments) => Value>> = {
    range: (given) => range(budget, given),
    namespace(given) {
      const namespace = new Namespace()
      for (const [key, value] of dictOf(budget, given).entries.values())
        namespace.fields.set(plain(pythonText(budget, key)), value)
      return namespace
    },
    dict: (given) => dictOf(budget, given),
    cycler: ({ positional }) => cycler(positional),
    joiner(given) {
      const [separator = ', '] = bindArguments('joiner', given, ['sep'])
      let used = false
      return new Callable('joiner', () => {
        const isFirst = !used
        used = true
        return isFirst ? '' : pythonText(budget, separator)
      })
    },
    raise_exception(given) {
      const [message = null] = bindArguments('raise_exception', given, ['message'])
      throw new TemplateFault(plain(pythonText(budget, message)))
    },
    strftime_now(given) {
      const [format = null] = bindArguments('strftime_now', given, ['format'])
      return strftime(now(), plainOf(format, 'format'))
    },
  }
  return new Map(Object.entries(functions).map(([name, call]) => [name, new Callable(`function ${name}`, call)]))
}

function range(budget: TemplateBudget, given: Arguments): Value {
  const bounds = bindArguments('range', given, ['start', 'stop', 'step'])
  const whole = (bound: Value | undefined) => (bound === undefined ? undefined : wholeNumber(bound, 'a bound of range'))
  const [first = 0, second, step = 1] = bounds.map(whole)
  const [start, stop] = second === undefined ? [0, first] : [first, second]
  if (step === 0) throw new TemplateFault('range() arg 3 must not be zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (length > longestRange)
    throw new TemplateFault(`Range too big. The sandbox blocks ranges larger than MAX_RANGE (${longestRange}).`)
  budget.spend(length)
  return Array.from({ length }, (_, i) => start + i * step)
}

function dictOf(budget: TemplateBudget, { positional, named }: Arguments): Dict {
  const dict = new Dict()
  const [from] = positional
  if (from instanceof Dict) {
    budget.spend(from.size)
    for (const [key, value] of from.entries.values()) dict.set(key, value)
  } else if (from !== undefined)
    for (const pair of listOf(budget, from)) {
      const [key = null, value = null] = listOf(budget, pair)
      dict.set(key, value)
    }
  for (const [key, value] of named) dict.set(key, value)
  return dict
}

function cycler(items: readonly Value[]): Value {
  if (items.length === 0) throw new TemplateFault('at least one item has to be provided')
  let at = 0
  const next = () => {
    const item = items[at] ?? null
    at = (at + 1) % items.length
    return item
  }
  const reset = () => {
    at = 0
    return null
  }
  return new Callable('cycler', next, (name) => {
    if (name === 'current') return items[at]
    if (name === 'next') return new Callable('next', next)
    return name === 'reset' ? new Callable('reset', reset) : undefined
  })
}
