import { attributeOf, itemOf, sliceOf } from './access-value.ts'
import { arithmetic, signed } from './arithmetic.ts'
import { areEqual, contains, inOrder, isTrue, listOf } from './compare-values.ts'
import { filterValue } from './filter-value.ts'
import { isText, joined, plain } from './marked-text.ts'
import { pythonText } from './python-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import type { Comparison, Expression, FilterCall, GivenArguments } from './template-nodes.ts'
import type { TemplateScope } from './template-scope.ts'
import { testValue } from './template-tests.ts'
import {
  type Arguments,
  Callable,
  Dict,
  Float,
  TemplateFault,
  tuple,
  typeName,
  Undefined,
  type Value,
} from './template-value.ts'

/** The value of an expression; each of its nodes is a step. */
export function evaluateExpression(budget: TemplateBudget, scope: TemplateScope, node: Expression): Value {
  budget.spend(1)
  const of = (inner: Expression) => evaluateExpression(budget, scope, inner)
  switch (node.kind) {
    case 'constant':
      return typeof node.value === 'object' && node.value !== null ? floatOf(node.value.float) : node.value
    case 'name':
      return scope.get(node.name)
    case 'list':
      return node.items.map(of)
    case 'tuple':
      return tuple(node.items.map(of))
    case 'dict': {
      const dict = new Dict()
      for (const [key, value] of node.entries) dict.set(of(key), of(value))
      return dict
    }
    case 'unary':
      return node.operator === 'not' ? !isTrue(of(node.operand)) : signed(node.operator, of(node.operand))
    case 'binary':
      return arithmetic(budget, node.operator, of(node.left), of(node.right))
    case 'logical': {
      const left = of(node.left)
      return isTrue(left) === (node.operator === 'or') ? left : of(node.right)
    }
    case 'compare':
      return compare(budget, of, node.first, node.rest)
    case 'concat': {
      const parts = node.parts.map((part) => pythonText(budget, of(part)))
      budget.text(parts.reduce((sum, part) => sum + plain(part).length, 0))
      return joined(parts)
    }
    case 'conditional':
      if (isTrue(of(node.test))) return of(node.then)
      return node.otherwise ? of(node.otherwise) : new Undefined('the condition of an inline if without else is false')
    case 'attribute':
      return attributeOf(budget, of(node.object), node.name)
    case 'item':
      return itemOf(budget, of(node.object), of(node.index))
    case 'slice': {
      const bounds = node.bounds.map((bound) => (bound ? of(bound) : null))
      return sliceOf(budget, of(node.object), bounds)
    }
    case 'call':
      return callValue(of(node.callee), evaluateArguments(budget, scope, node.given))
    case 'filter':
      return applyFilter(budget, scope, of(node.operand), node)
    case 'test': {
      const { positional } = evaluateArguments(budget, scope, node.given)
      return testValue(budget, node.name, of(node.operand), positional) !== node.negated
    }
    default:
      return node satisfies never
  }
}

const floatOf = (value: number) => (Number.isInteger(value) ? new Float(value) : value)

/** `a < b < c` is `a < b and b < c`, each of them computed once. */
function compare(
  budget: TemplateBudget,
  of: (node: Expression) => Value,
  first: Expression,
  rest: readonly Comparison[],
): boolean {
  let left = of(first)
  for (const { operator, operand } of rest) {
    const right = of(operand)
    if (!holds(budget, operator, left, right)) return false
    left = right
  }
  return true
}

function holds(budget: TemplateBudget, operator: Comparison['operator'], left: Value, right: Value): boolean {
  // what is compared is as long as the shorter one
  if (isText(left) && isText(right)) budget.spend(Math.min(plain(left).length, plain(right).length) / 32)
  switch (operator) {
    case '==':
      return areEqual(budget, left, right)
    case '!=':
      return !areEqual(budget, left, right)
    case '<':
      return inOrder(budget, left, right) < 0
    case '<=':
      return inOrder(budget, left, right) <= 0
    case '>':
      return inOrder(budget, left, right) > 0
    case '>=':
      return inOrder(budget, left, right) >= 0
    case 'in':
      return contains(budget, right, left)
    case 'not in':
      return !contains(budget, right, left)
    default:
      return operator satisfies never
  }
}

export function callValue(callee: Value, given: Arguments): Value {
  if (callee instanceof Undefined) throw callee.fault()
  if (!(callee instanceof Callable)) throw new TemplateFault(`'${typeName(callee)}' object is not callable`)
  return callee.call(given)
}

export function evaluateArguments(budget: TemplateBudget, scope: TemplateScope, given: GivenArguments): Arguments {
  const of = (node: Expression) => evaluateExpression(budget, scope, node)
  const positional = given.positional.map(of)
  const named = new Map<string, Value>(given.named.map(([name, node]) => [name, of(node)]))
  if (given.list) for (const value of listOf(budget, of(given.list))) positional.push(value)
  if (given.dict) {
    const dict = of(given.dict)
    if (!(dict instanceof Dict)) throw new TemplateFault(`argument after ** must be a mapping, not ${typeName(dict)}`)
    budget.spend(dict.size)
    for (const [key, value] of dict.entries.values()) named.set(plain(pythonText(budget, key)), value)
  }
  return { positional, named }
}

/** `value|name(arguments)` */
export function applyFilter(
  budget: TemplateBudget,
  scope: TemplateScope,
  value: Value,
  { name, given }: FilterCall,
): Value {
  return filterValue(budget, name, value, evaluateArguments(budget, scope, given))
}
