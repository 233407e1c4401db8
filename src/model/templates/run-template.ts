import { isTrue, listOf } from './compare-values.ts'
import { applyFilter, callValue, evaluateArguments, evaluateExpression } from './evaluate-expression.ts'
import { loopFields } from './loop-fields.ts'
import { joined, plain, type Text } from './marked-text.ts'
import { pythonText } from './python-text.ts'
import type { TemplateBudget } from './template-budget.ts'
import type { Body, FilterCall, Parameter, Statement, Target } from './template-nodes.ts'
import { TemplateScope } from './template-scope.ts'
import {
  type Arguments,
  Callable,
  Dict,
  Namespace,
  TemplateFault,
  tuple,
  Undefined,
  type Value,
} from './template-value.ts'

/** What a body ends with: its end, or a loop control. */
type Ending = 'end' | 'break' | 'continue'

/** Runs a template; its names are looked up in `scope`. Throws a TemplateFault for what it does wrong, or beyond the budget. */
export function runTemplate(budget: TemplateBudget, scope: TemplateScope, body: Body): Text {
  return written(budget, new TemplateScope(scope), body)
}

/** What a body writes, as one text. */
function written(budget: TemplateBudget, scope: TemplateScope, body: Body): Text {
  const parts: Text[] = []
  budget.nested(() => runBody(budget, scope, body, parts))
  return joined(parts)
}

function runBody(budget: TemplateBudget, scope: TemplateScope, body: Body, output: Text[]): Ending {
  for (const statement of body) {
    const ending = runStatement(budget, scope, statement, output)
    if (ending !== 'end') return ending
  }
  return 'end'
}

function runStatement(budget: TemplateBudget, scope: TemplateScope, node: Statement, output: Text[]): Ending {
  budget.spend(1)
  const write = (text: Text) => {
    budget.write(plain(text).length)
    if (text !== '') output.push(text)
  }
  switch (node.kind) {
    case 'text':
      write(node.text)
      return 'end'
    case 'output':
      write(pythonText(budget, evaluateExpression(budget, scope, node.value)))
      return 'end'
    case 'if':
      for (const [test, body] of node.branches)
        if (isTrue(evaluateExpression(budget, scope, test))) return runBody(budget, scope, body, output)
      return runBody(budget, scope, node.otherwise, output)
    case 'for':
      runLoop(budget, scope, node, evaluateExpression(budget, scope, node.list), 0, output)
      return 'end'
    case 'break':
    case 'continue':
      return node.kind
    case 'set':
      assign(budget, scope, node.target, evaluateExpression(budget, scope, node.value))
      return 'end'
    case 'set-body': {
      const text = written(budget, new TemplateScope(scope), node.body)
      assign(budget, scope, node.target, filtered(budget, scope, text, node.filters))
      return 'end'
    }
    case 'macro':
      scope.set(node.name, macro(budget, scope, node.name, node.parameters, node.body))
      return 'end'
    case 'call': {
      const caller = macro(budget, scope, 'caller', node.parameters, node.body)
      if (node.call.kind !== 'call') throw new TemplateFault('expected a call')
      const given = evaluateArguments(budget, scope, node.call.given)
      const named = new Map([...given.named, ['caller', caller]])
      const callee = evaluateExpression(budget, scope, node.call.callee)
      write(pythonText(budget, callValue(callee, { positional: given.positional, named })))
      return 'end'
    }
    case 'filter': {
      const text = written(budget, new TemplateScope(scope), node.body)
      write(pythonText(budget, filtered(budget, scope, text, node.filters)))
      return 'end'
    }
    case 'with': {
      const inner = new TemplateScope(scope)
      for (const [target, value] of node.sets) assign(budget, inner, target, evaluateExpression(budget, scope, value))
      return runBody(budget, inner, node.body, output)
    }
    case 'body':
      return runBody(budget, scope, node.body, output)
    default:
      return node satisfies never
  }
}

function filtered(budget: TemplateBudget, scope: TemplateScope, text: Value, filters: readonly FilterCall[]): Value {
  return filters.reduce((value, filter) => applyFilter(budget, scope, value, filter), text)
}

type Loop = Extract<Statement, { kind: 'for' }>

function runLoop(
  budget: TemplateBudget,
  scope: TemplateScope,
  node: Loop,
  list: Value,
  depth: number,
  output: Text[],
): void {
  const { filter } = node
  let items = listOf(budget, list)
  if (filter)
    items = items.filter((item) => {
      const inner = new TemplateScope(scope)
      assign(budget, inner, node.target, item)
      return isTrue(evaluateExpression(budget, inner, filter))
    })
  const again = ({ positional: [inner = null] }: Arguments): Value => {
    if (!node.recursive) throw new TemplateFault("the loop must have the 'recursive' marker to be called recursively")
    const parts: Text[] = []
    budget.nested(() => runLoop(budget, scope, node, inner, depth + 1, parts))
    return joined(parts)
  }
  const fields = loopFields(budget, items, depth)
  for (const [index, item] of items.entries()) {
    budget.spend(1)
    const inner = new TemplateScope(scope)
    inner.set('loop', new Callable('loop', again, (name) => fields(index, name)))
    assign(budget, inner, node.target, item)
    if (runBody(budget, inner, node.body, output) === 'break') break
  }
  if (items.length === 0) runBody(budget, new TemplateScope(scope), node.otherwise, output)
}

function assign(budget: TemplateBudget, scope: TemplateScope, target: Target, value: Value): void {
  if (target.kind === 'name') scope.set(target.name, value)
  else if (target.kind === 'field') {
    const object = scope.get(target.name)
    if (!(object instanceof Namespace)) throw new TemplateFault('cannot assign attribute on non-namespace object')
    object.fields.set(target.field, value)
  } else {
    if (value instanceof Undefined) throw value.fault()
    const values = listOf(budget, value)
    if (values.length !== target.targets.length)
      throw new TemplateFault(`${values.length} values cannot be unpacked into ${target.targets.length} names`)
    for (const [i, inner] of target.targets.entries()) assign(budget, scope, inner, values[i] ?? null)
  }
}

/** A macro sees the names around its definition, as they are when it is called. */
function macro(
  budget: TemplateBudget,
  scope: TemplateScope,
  name: string,
  parameters: readonly Parameter[],
  body: Body,
): Callable {
  const names = new Set(parameters.map((parameter) => parameter.name))
  const call = ({ positional, named }: Arguments): Value => {
    const inner = new TemplateScope(scope)
    const more = new Dict()
    for (const [key, value] of named) if (!names.has(key) && key !== 'caller') more.set(key, value)
    inner.set('varargs', tuple(positional.slice(parameters.length)))
    inner.set('kwargs', more)
    inner.set('caller', named.get('caller') ?? new Undefined('no caller defined'))
    for (const [i, parameter] of parameters.entries()) {
      const value = i < positional.length ? positional[i] : named.get(parameter.name)
      if (i < positional.length && named.has(parameter.name))
        throw new TemplateFault(`macro '${name}' got '${parameter.name}' twice`)
      const fallback = () =>
        parameter.fallback
          ? evaluateExpression(budget, inner, parameter.fallback)
          : new Undefined(`parameter '${parameter.name}' was not provided`)
      inner.set(parameter.name, value === undefined ? fallback() : value)
    }
    return written(budget, inner, body)
  }
  return new Callable(`macro '${name}'`, call, (field) => (field === 'name' ? name : undefined))
}
