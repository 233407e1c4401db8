import { stringLiteral } from './string-literal.ts'
import type { Comparison, Expression, FilterCall, GivenArguments } from './template-nodes.ts'
import type { TokenReader } from './token-reader.ts'

/**
 * An expression by the grammar of jinja2 3.1, its precedences included: `+` binds looser than `~`, a filter tighter than
 * any operator, and `**` groups to the left.
 */
export function parseExpression(tokens: TokenReader, conditional = true): Expression {
  return tokens.nested(() => (conditional ? parseConditional(tokens) : parseOr(tokens)))
}

/** One expression, or several with commas between, which are a tuple. Ends where a tag ends. */
export function parseTuple(tokens: TokenReader, conditional = true): Expression {
  const items = [parseExpression(tokens, conditional)]
  let comma = false
  while (tokens.skip('operator', ',')) {
    comma = true
    if (endsTuple(tokens)) break
    items.push(parseExpression(tokens, conditional))
  }
  return comma ? { kind: 'tuple', items } : (items[0] as Expression)
}

function endsTuple(tokens: TokenReader): boolean {
  return (
    tokens.is('output-end') ||
    tokens.is('block-end') ||
    tokens.is('operator', ')') ||
    tokens.is('name', 'in', 'recursive', 'if')
  )
}

function parseConditional(tokens: TokenReader): Expression {
  let value = parseOr(tokens)
  while (tokens.skip('name', 'if')) {
    const test = parseOr(tokens)
    const otherwise = tokens.skip('name', 'else') ? parseExpression(tokens) : null
    value = { kind: 'conditional', test, then: value, otherwise }
  }
  return value
}

function parseOr(tokens: TokenReader): Expression {
  let left = parseAnd(tokens)
  while (tokens.skip('name', 'or')) left = { kind: 'logical', operator: 'or', left, right: parseAnd(tokens) }
  return left
}

function parseAnd(tokens: TokenReader): Expression {
  let left = parseNot(tokens)
  while (tokens.skip('name', 'and')) left = { kind: 'logical', operator: 'and', left, right: parseNot(tokens) }
  return left
}

function parseNot(tokens: TokenReader): Expression {
  if (!tokens.skip('name', 'not')) return parseCompare(tokens)
  return { kind: 'unary', operator: 'not', operand: tokens.nested(() => parseNot(tokens)) }
}

function parseCompare(tokens: TokenReader): Expression {
  const first = parseSum(tokens)
  const rest: Comparison[] = []
  for (;;) {
    if (tokens.is('operator', '==', '!=', '<', '<=', '>', '>=')) {
      const operator = tokens.next().text as Comparison['operator']
      rest.push({ operator, operand: parseSum(tokens) })
    } else if (tokens.skip('name', 'in')) rest.push({ operator: 'in', operand: parseSum(tokens) })
    else if (tokens.is('name', 'not') && tokens.following.text === 'in' && tokens.following.kind === 'name') {
      tokens.next()
      tokens.next()
      rest.push({ operator: 'not in', operand: parseSum(tokens) })
    } else return rest.length === 0 ? first : { kind: 'compare', first, rest }
  }
}

type Level = (tokens: TokenReader) => Expression

const leftToRight = (tokens: TokenReader, operators: readonly string[], next: Level): Expression => {
  let left = next(tokens)
  // each operator wraps the tree once more, and the tree is walked by calls
  for (let count = 0; tokens.is('operator', ...operators); count++) {
    if (count > 500) throw tokens.fault('more than 500 operators in a row')
    left = { kind: 'binary', operator: tokens.next().text, left, right: next(tokens) }
  }
  return left
}
const parseSum: Level = (tokens) => leftToRight(tokens, ['+', '-'], parseConcat)
const parseProduct: Level = (tokens) => leftToRight(tokens, ['*', '/', '//', '%'], parsePower)
const parsePower: Level = (tokens) => leftToRight(tokens, ['**'], parseUnary)

function parseConcat(tokens: TokenReader): Expression {
  const parts = [parseProduct(tokens)]
  while (tokens.skip('operator', '~')) parts.push(parseProduct(tokens))
  return parts.length === 1 ? (parts[0] as Expression) : { kind: 'concat', parts }
}

const parseUnary: Level = (tokens) => parseSigned(tokens, true)

function parseSigned(tokens: TokenReader, filters: boolean): Expression {
  const sign = tokens.is('operator', '-', '+') ? (tokens.next().text as '-' | '+') : null
  const value: Expression = sign
    ? { kind: 'unary', operator: sign, operand: tokens.nested(() => parseSigned(tokens, false)) }
    : parsePrimary(tokens)
  const whole = parsePostfix(tokens, value)
  return filters ? parseFiltersAndTests(tokens, whole) : whole
}

const constants: Readonly<Record<string, boolean | null>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
}

function parsePrimary(tokens: TokenReader): Expression {
  const { kind, text } = tokens.current
  if (kind === 'name') {
    tokens.next()
    return Object.hasOwn(constants, text)
      ? { kind: 'constant', value: constants[text] ?? null }
      : { kind: 'name', name: text }
  }
  if (kind === 'string') {
    const parts: string[] = []
    while (tokens.is('string')) parts.push(stringLiteral(tokens.next().text))
    return { kind: 'constant', value: parts.join('') }
  }
  if (kind === 'integer') return { kind: 'constant', value: Number(tokens.next().text.replaceAll('_', '')) }
  if (kind === 'float') return { kind: 'constant', value: { float: Number(tokens.next().text.replaceAll('_', '')) } }
  if (tokens.skip('operator', '(')) {
    if (tokens.skip('operator', ')')) return { kind: 'tuple', items: [] }
    const inner = parseTuple(tokens)
    tokens.expect('operator', ')')
    return inner
  }
  if (tokens.skip('operator', '['))
    return { kind: 'list', items: parseItems(tokens, ']', () => parseExpression(tokens)) }
  if (tokens.skip('operator', '{')) {
    const entries = parseItems(tokens, '}', () => {
      const key = parseExpression(tokens)
      tokens.expect('operator', ':')
      return [key, parseExpression(tokens)] as const
    })
    return { kind: 'dict', entries }
  }
  throw tokens.fault(`unexpected ${tokens.shown}`)
}

/** Items with commas between and perhaps one at the end, up to the closing bracket. */
function parseItems<T>(tokens: TokenReader, close: string, item: () => T): T[] {
  const items: T[] = []
  while (!tokens.skip('operator', close)) {
    if (items.length > 0) tokens.expect('operator', ',')
    if (tokens.skip('operator', close)) break
    items.push(item())
  }
  return items
}

function parsePostfix(tokens: TokenReader, start: Expression): Expression {
  let value = start
  for (let count = 0; ; count++) {
    if (count > 500) throw tokens.fault('more than 500 fields and calls in a row')
    if (tokens.skip('operator', '.')) {
      if (tokens.is('integer')) value = { kind: 'item', object: value, index: parsePrimary(tokens) }
      else value = { kind: 'attribute', object: value, name: tokens.expect('name').text }
    } else if (tokens.skip('operator', '[')) value = parseSubscript(tokens, value)
    else if (tokens.is('operator', '(')) value = { kind: 'call', callee: value, given: parseArguments(tokens) }
    else return value
  }
}

function parseSubscript(tokens: TokenReader, object: Expression): Expression {
  const bounds: (Expression | null)[] = [null]
  let slice = false
  while (!tokens.skip('operator', ']')) {
    if (tokens.skip('operator', ':')) {
      slice = true
      bounds.push(null)
    } else if (bounds.at(-1) !== null || bounds.length > 3) throw tokens.fault(`unexpected ${tokens.shown}`)
    else bounds[bounds.length - 1] = parseExpression(tokens)
  }
  if (slice) return { kind: 'slice', object, bounds }
  const [index] = bounds
  if (!index) throw tokens.fault('expected an index')
  return { kind: 'item', object, index }
}

/** `(a, *list, name=b, **dict)` */
export function parseArguments(tokens: TokenReader): GivenArguments {
  const positional: Expression[] = []
  const named: [string, Expression][] = []
  let list: Expression | null = null
  let dict: Expression | null = null
  tokens.expect('operator', '(')
  parseItems(tokens, ')', () => {
    if (tokens.skip('operator', '*')) list = parseExpression(tokens)
    else if (tokens.skip('operator', '**')) dict = parseExpression(tokens)
    else if (tokens.is('name') && tokens.following.kind === 'operator' && tokens.following.text === '=') {
      const name = tokens.next().text
      tokens.next()
      named.push([name, parseExpression(tokens)])
    } else if (named.length > 0) throw tokens.fault('an argument without a name follows one with a name')
    else positional.push(parseExpression(tokens))
  })
  return { positional, named, list, dict }
}

const noArguments: GivenArguments = { positional: [], named: [], list: null, dict: null }

function dottedName(tokens: TokenReader): string {
  let name = tokens.expect('name').text
  while (tokens.skip('operator', '.')) name += `.${tokens.expect('name').text}`
  return name
}

/** `name(arguments)` after a bar. */
export function parseFilterCall(tokens: TokenReader): FilterCall {
  const name = dottedName(tokens)
  return { name, given: tokens.is('operator', '(') ? parseArguments(tokens) : noArguments }
}

function parseFiltersAndTests(tokens: TokenReader, start: Expression): Expression {
  let value = start
  for (let count = 0; ; count++) {
    if (count > 500) throw tokens.fault('more than 500 filters in a row')
    if (tokens.skip('operator', '|')) value = { kind: 'filter', operand: value, ...parseFilterCall(tokens) }
    else if (tokens.skip('name', 'is')) value = parseTest(tokens, value)
    else if (tokens.is('operator', '(')) value = { kind: 'call', callee: value, given: parseArguments(tokens) }
    else return value
  }
}

/** What follows a test without brackets is its argument, if it can begin one. */
function parseTest(tokens: TokenReader, operand: Expression): Expression {
  const negated = tokens.skip('name', 'not')
  const name = dottedName(tokens)
  let given = noArguments
  if (tokens.is('operator', '(')) given = parseArguments(tokens)
  else if (
    tokens.is('string') ||
    tokens.is('integer') ||
    tokens.is('float') ||
    tokens.is('operator', '[', '{') ||
    (tokens.is('name') && !tokens.is('name', 'else', 'or', 'and', 'if', 'in', 'not', 'is'))
  )
    given = { ...noArguments, positional: [parsePostfix(tokens, parsePrimary(tokens))] }
  return { kind: 'test', operand, name, given, negated }
}
