import { parseArguments, parseExpression, parseFilterCall, parseTuple } from './parse-expression.ts'
import type { Body, Expression, FilterCall, Parameter, Statement, Target } from './template-nodes.ts'
import { templateTokens } from './template-tokens.ts'
import { TemplateFault } from './template-value.ts'
import { TokenReader } from './token-reader.ts'

/**
 * A template as a tree. The tags are those of jinja2 with the loop controls and `generation` that transformers adds; tags
 * that read other files (include, extends, import) are refused, as no template of a model has any.
 */
export function parseTemplate(source: string): Body {
  const tokens = new TokenReader(templateTokens(source))
  const body = parseBody(tokens, [])
  if (!tokens.is('end')) throw tokens.fault(`unexpected ${tokens.shown}`)
  return body
}

/** Up to a tag of one of these names, whose begin and name are taken; to the end of the template where none is asked for. */
function parseBody(tokens: TokenReader, ends: readonly string[]): Body {
  return tokens.nested(() => {
    const body: Statement[] = []
    for (;;) {
      if (tokens.is('data')) body.push({ kind: 'text', text: tokens.next().text })
      else if (tokens.is('output-begin')) {
        tokens.next()
        body.push({ kind: 'output', value: parseTuple(tokens) })
        tokens.expect('output-end')
      } else if (tokens.is('block-begin')) {
        tokens.next()
        if (tokens.is('name', ...ends) && ends.length > 0) return body
        body.push(parseTag(tokens))
      } else if (ends.length === 0) return body
      else throw tokens.fault(`expected ${ends.join(' or ')}, got ${tokens.shown}`)
    }
  })
}

/** A body and the end of its last tag. */
function parseWhole(tokens: TokenReader, end: string): Body {
  tokens.expect('block-end')
  const body = parseBody(tokens, [end])
  tokens.next()
  tokens.expect('block-end')
  return body
}

function parseTag(tokens: TokenReader): Statement {
  const name = tokens.expect('name').text
  const parse = Object.hasOwn(tags, name) ? tags[name] : undefined
  if (!parse) throw tokens.fault(`unknown tag '${name}'`)
  return parse(tokens)
}

const tags: Readonly<Record<string, (tokens: TokenReader) => Statement>> = {
  if: parseIf,
  for: parseFor,
  set: parseSet,
  macro: parseMacro,
  call: parseCall,
  filter(tokens) {
    const filters = [parseFilterCall(tokens), ...parseFilters(tokens)]
    return { kind: 'filter', filters, body: parseWhole(tokens, 'endfilter') }
  },
  with: parseWith,
  generation: (tokens) => ({ kind: 'body', body: parseWhole(tokens, 'endgeneration') }),
  break: (tokens) => single(tokens, 'break'),
  continue: (tokens) => single(tokens, 'continue'),
}

function single(tokens: TokenReader, kind: 'break' | 'continue'): Statement {
  tokens.expect('block-end')
  return { kind }
}

function parseIf(tokens: TokenReader): Statement {
  const branches: [Expression, Body][] = []
  for (;;) {
    const test = parseTuple(tokens, false)
    tokens.expect('block-end')
    branches.push([test, parseBody(tokens, ['elif', 'else', 'endif'])])
    const end = tokens.next().text
    if (end === 'elif') continue
    const otherwise = end === 'else' ? parseWhole(tokens, 'endif') : []
    if (end === 'endif') tokens.expect('block-end')
    return { kind: 'if', branches, otherwise }
  }
}

function parseFor(tokens: TokenReader): Statement {
  const target = parseTarget(tokens, false)
  tokens.expect('name', 'in')
  const list = parseTuple(tokens, false)
  const filter = tokens.skip('name', 'if') ? parseExpression(tokens) : null
  const recursive = tokens.skip('name', 'recursive')
  tokens.expect('block-end')
  const body = parseBody(tokens, ['endfor', 'else'])
  const otherwise = tokens.next().text === 'else' ? parseWhole(tokens, 'endfor') : null
  if (!otherwise) tokens.expect('block-end')
  return { kind: 'for', target, list, filter, recursive, body, otherwise: otherwise ?? [] }
}

function parseTarget(tokens: TokenReader, fields: boolean): Target {
  const targets: Target[] = []
  let tuple = false
  do {
    if (targets.length > 0 && (tokens.is('name', 'in') || tokens.is('operator', '=', ')'))) break
    targets.push(parseOneTarget(tokens, fields))
    if (tokens.is('operator', ',')) tuple = true
  } while (tokens.skip('operator', ','))
  return tuple ? { kind: 'targets', targets } : (targets[0] as Target)
}

function parseOneTarget(tokens: TokenReader, fields: boolean): Target {
  if (tokens.skip('operator', '(')) {
    const inner = tokens.nested(() => parseTarget(tokens, fields))
    tokens.expect('operator', ')')
    return inner
  }
  const name = tokens.expect('name').text
  if (fields && tokens.skip('operator', '.')) return { kind: 'field', name, field: tokens.expect('name').text }
  if (/^(?:true|false|none|True|False|None)$/.test(name)) throw tokens.fault(`cannot assign to '${name}'`)
  return { kind: 'name', name }
}

function parseSet(tokens: TokenReader): Statement {
  const target = parseTarget(tokens, true)
  if (tokens.skip('operator', '=')) {
    const value = parseTuple(tokens)
    tokens.expect('block-end')
    return { kind: 'set', target, value }
  }
  return { kind: 'set-body', target, filters: parseFilters(tokens), body: parseWhole(tokens, 'endset') }
}

function parseFilters(tokens: TokenReader): FilterCall[] {
  const filters: FilterCall[] = []
  while (tokens.skip('operator', '|')) filters.push(parseFilterCall(tokens))
  return filters
}

function parseMacro(tokens: TokenReader): Statement {
  const name = tokens.expect('name').text
  return { kind: 'macro', name, parameters: parseParameters(tokens), body: parseWhole(tokens, 'endmacro') }
}

function parseCall(tokens: TokenReader): Statement {
  const parameters = tokens.is('operator', '(') ? parseParameters(tokens) : []
  const call = parseExpression(tokens)
  if (call.kind !== 'call') throw tokens.fault('expected a call')
  return { kind: 'call', call, parameters, body: parseWhole(tokens, 'endcall') }
}

/** Names, from the first with a value on all with one. */
function parseParameters(tokens: TokenReader): readonly Parameter[] {
  const { positional, named, list, dict } = parseArguments(tokens)
  if (list || dict) throw tokens.fault('a parameter has no stars')
  const plain = positional.map((each) => {
    if (each.kind === 'name') return { name: each.name, fallback: null }
    throw new TemplateFault('a parameter must be a name')
  })
  return [...plain, ...named.map(([name, fallback]) => ({ name, fallback }))]
}

function parseWith(tokens: TokenReader): Statement {
  const sets: [Target, Expression][] = []
  while (!tokens.is('block-end')) {
    if (sets.length > 0) tokens.expect('operator', ',')
    const target = parseOneTarget(tokens, false)
    tokens.expect('operator', '=')
    sets.push([target, parseExpression(tokens)])
  }
  return { kind: 'with', sets, body: parseWhole(tokens, 'endwith') }
}
