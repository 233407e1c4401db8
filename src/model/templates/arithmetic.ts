import { numeric } from './compare-values.ts'
import { formatPercent } from './format-percent.ts'
import { isText, joined, plain, type Text } from './marked-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import {
  Float,
  floating,
  isList,
  TemplateFault,
  Tuple,
  tuple,
  typeName,
  Undefined,
  type Value,
} from './template-value.ts'

/** `left operator right` as Python computes it: numbers, texts and lists that are joined or repeated, `%` of a text. */
export function arithmetic(budget: TemplateBudget, operator: string, left: Value, right: Value): Value {
  const [a, b] = [numeric(left), numeric(right)]
  if (a !== null && b !== null) return numbers(operator, a, b, isFloat(left) || isFloat(right))
  for (const value of [left, right]) if (value instanceof Undefined) throw value.fault()
  if (operator === '%' && isText(left)) return formatPercent(budget, left, right)
  if (operator === '+') {
    if (isText(left) && isText(right)) {
      budget.text(plain(left).length + plain(right).length)
      return joined([left, right])
    }
    if (isList(left) && isList(right) && left instanceof Tuple === right instanceof Tuple) {
      budget.spend(left.length + right.length)
      return left instanceof Tuple ? tuple([...left, ...right]) : [...left, ...right]
    }
  }
  if (operator === '*') {
    if (Number.isInteger(b) && !isFloat(right)) return repeated(budget, left, b ?? 0, right)
    if (Number.isInteger(a) && !isFloat(left)) return repeated(budget, right, a ?? 0, left)
  }
  throw unsupported(operator, left, right)
}

/** `-value` and `+value` */
export function signed(operator: '+' | '-', value: Value): Value {
  const number = numeric(value)
  if (value instanceof Undefined) throw value.fault()
  if (number === null) throw new TemplateFault(`bad operand type for unary ${operator}: '${typeName(value)}'`)
  if (operator === '+') return isFloat(value) ? value : number
  return isFloat(value) ? floating(-number) : 0 - number
}

const isFloat = (value: Value) => value instanceof Float || (typeof value === 'number' && !Number.isInteger(value))

function unsupported(operator: string, left: Value, right: Value): TemplateFault {
  return new TemplateFault(`unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`)
}

function repeated(budget: TemplateBudget, value: Value, count: number, factor: Value): Value {
  const times = Math.max(0, count)
  if (isText(value)) {
    budget.text(plain(value).length * times)
    return typeof value === 'string' ? value.repeat(times) : joined(new Array<Text>(times).fill(value))
  }
  if (!isList(value)) throw unsupported('*', value, factor)
  budget.spend(value.length * times)
  const all: Value[] = value instanceof Tuple ? new Tuple() : []
  for (let i = 0; i < times; i++) for (const each of value) all.push(each)
  return all
}

function numbers(operator: string, a: number, b: number, float: boolean): Value {
  if (b === 0 && (operator === '/' || operator === '//' || operator === '%'))
    throw new TemplateFault('division by zero')
  // the sign of a remainder is that of the divisor
  const remainder = ((a % b) + b) % b
  switch (operator) {
    case '+':
      return result(a + b, float)
    case '-':
      return result(a - b, float)
    case '*':
      return result(a * b, float)
    case '/':
      return result(a / b, true)
    case '//':
      return result(Math.floor(a / b), float)
    case '%':
      return result(remainder, float)
    case '**':
      return result(a ** b, float || b < 0)
    default:
      throw new TemplateFault(`unknown operator ${operator}`)
  }
}

function result(value: number, float: boolean): Value {
  if (float) return floating(value)
  if (!Number.isSafeInteger(value)) throw new TemplateFault('a whole number is beyond 2⁵³')
  return value + 0
}
