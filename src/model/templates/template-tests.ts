import { areEqual, contains, inOrder, numeric } from './compare-values.ts'
import { isText, plain } from './marked-text.ts'
import { stringMethod } from './string-methods.ts'
import type { TemplateBudget } from './template-budget.ts'
import { Callable, Dict, Float, isList, TemplateFault, Undefined, type Value, wholeNumber } from './template-value.ts'

type TemplateTest = (budget: TemplateBudget, value: Value, arguments_: readonly Value[]) => boolean

/** Runs `value is name(arguments)`, with the tests of jinja2. */
export function testValue(budget: TemplateBudget, name: string, value: Value, given: readonly Value[]): boolean {
  const test = Object.hasOwn(templateTests, name) ? templateTests[name] : undefined
  if (!test) throw new TemplateFault(`no test named '${name.slice(0, 60)}'`)
  return test(budget, value, given)
}

const against =
  (holds: (order: number) => boolean): TemplateTest =>
  (budget, value, [other = null]) =>
    holds(inOrder(budget, value, other))
const equal: TemplateTest = (budget, value, [other = null]) => areEqual(budget, value, other)
const isCase =
  (method: string): TemplateTest =>
  (budget, value) =>
    isText(value) && stringMethod(budget, value, method)?.({ positional: [], named: new Map() }) === true
const isInteger = (value: Value) => typeof value === 'number' && Number.isInteger(value)
const isFloat = (value: Value) => value instanceof Float || (typeof value === 'number' && !Number.isInteger(value))
const remainder = (value: Value, by: Value) => wholeNumber(value, 'a number') % wholeNumber(by, 'a divisor')

const templateTests: Readonly<Record<string, TemplateTest>> = {
  defined: (_, value) => !(value instanceof Undefined),
  undefined: (_, value) => value instanceof Undefined,
  none: (_, value) => value === null,
  boolean: (_, value) => typeof value === 'boolean',
  true: (_, value) => value === true,
  false: (_, value) => value === false,
  integer: (_, value) => isInteger(value),
  float: (_, value) => isFloat(value),
  number: (_, value) => numeric(value) !== null,
  string: (_, value) => isText(value),
  mapping: (_, value) => value instanceof Dict,
  // what has a length and can be indexed: Python's texts and dicts as well
  sequence: (_, value) => isText(value) || isList(value) || value instanceof Dict || value instanceof Undefined,
  iterable: (_, value) => isText(value) || isList(value) || value instanceof Dict || value instanceof Undefined,
  callable: (_, value) => value instanceof Callable,
  escaped: () => false,
  sameas: (_, value, [other = null]) =>
    isText(value) && isText(other) ? plain(value) === plain(other) : value === other,
  odd: (_, value) => Math.abs(remainder(value, 2)) === 1,
  even: (_, value) => remainder(value, 2) === 0,
  divisibleby: (_, value, [by = null]) => remainder(value, by) === 0,
  in: (budget, value, [whole = null]) => contains(budget, whole, value),
  lower: isCase('islower'),
  upper: isCase('isupper'),
  eq: equal,
  equalto: equal,
  '==': equal,
  ne: (budget, value, [other = null]) => !areEqual(budget, value, other),
  lt: against((order) => order < 0),
  lessthan: against((order) => order < 0),
  le: against((order) => order <= 0),
  gt: against((order) => order > 0),
  greaterthan: against((order) => order > 0),
  ge: against((order) => order >= 0),
}
