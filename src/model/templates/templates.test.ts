import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { FoveaError } from '../../tile/index.ts'
import { chatTemplate } from '../chat-template.ts'
import type { ChatMessage } from '../tokenizer.ts'

interface Recorded {
  readonly messages: readonly ChatMessage[]
  readonly arguments: Record<string, unknown>
  readonly cases: readonly { template: string; withArguments?: boolean; text?: string; fails?: string }[]
}
const recorded: Recorded = JSON.parse(readFileSync(new URL('./recorded-templates.json', import.meta.url), 'utf8'))
const variables = { bosToken: '<s>', eosToken: '</s>', addGenerationPrompt: true, now: new Date(2026, 2, 5, 14, 7, 9) }
const render = (template: string, messages: readonly unknown[] = [], given: Record<string, unknown> = {}) =>
  chatTemplate('a.jinja', template).render(messages as readonly ChatMessage[], { ...variables, arguments: given })

describe('what jinja2 writes with the settings of transformers', () => {
  it.each(recorded.cases)('$template', ({ template, withArguments, text }) => {
    const run = () => render(template, recorded.messages, withArguments ? recorded.arguments : {}).text
    if (text === undefined) expect(run).toThrow(FoveaError)
    else expect(run()).toBe(text)
  })

  it('tells what the caller gives, whatever its name, and none where there is nothing', () => {
    const template = '{{ tools is none }} {{ documents is none }} {{ enable_thinking is defined and enable_thinking }}'
    expect(render(template).text).toBe('True True False')
    expect(render(template, [], { tools: [], documents: [{}], enable_thinking: true }).text).toBe('False False True')
    expect(render('{{ a }}{{ b }}{{ c }}', [], { a: null, b: undefined, c: 1.5 }).text).toBe('NoneNone1.5')
    expect(() => render('', [], { messages: [] })).toThrow(/messages is given by the call itself/)
    expect(() => render('', [], { a: () => 1 })).toThrow(/a function is nothing that a template can be given/)
  })

  it('gives every field of a message', () => {
    const call = { function: { name: 'f', arguments: { x: 1 } } }
    const messages = [{ role: 'assistant', content: '', tool_calls: [call], name: 'n', left: undefined }]
    const template =
      '{{ messages[0].tool_calls[0].function | tojson }}{{ messages[0].name }}{{ messages[0].left is defined }}'
    expect(render(template, messages).text).toBe('{"name": "f", "arguments": {"x": 1}}nFalse')
  })
})

describe('bounds', () => {
  const nested = (open: string, close: string, depth = 5000) => `{{ ${open.repeat(depth)}1${close.repeat(depth)} }}`
  const doubling = "{% set ns = namespace(x='aa') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"
  it.each<[string, string, RegExp]>([
    [
      '10⁹ passes of loops',
      '{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}',
      /not ended after/,
    ],
    ['a range of 10⁹', '{% for a in range(10 ** 9) %}{% endfor %}', /Range too big/],
    ['a text repeated 10⁹ times', "{{ 'a' * 10 ** 9 }}", /a text of 1000000000 characters/],
    ['a list repeated 10⁹ times', '{{ [1] * 10 ** 9 }}', /not ended after/],
    ['a text that doubles itself', doubling, /a text of \d+ characters/],
    ['a list that doubles itself', doubling.replace("'aa'", '[1, 1]'), /not ended after/],
    [
      'a text that replaces its letters by itself',
      doubling.replace('ns.x + ns.x', "ns.x.replace('a', ns.x)"),
      /a text of|not ended/,
    ],
    ['a text joined with itself', doubling.replace('ns.x + ns.x', 'ns.x.join([ns.x, ns.x])'), /a text of|not ended/],
    ['a text of a text of a list', doubling.replace('ns.x + ns.x', '[ns.x, ns.x] | string'), /a text of|not ended/],
    ['json of json', doubling.replace('ns.x + ns.x', '[ns.x, ns.x] | tojson'), /a text of|not ended/],
    [
      'a list within a list',
      doubling.replace("'aa'", '[]').replace('range(100)', 'range(1000)').replace('ns.x + ns.x', '[ns.x]') +
        '{{ ns.x }}',
      /levels deep/,
    ],
    ['padding', "{{ '%1000000000d' % 1 }}", /a text of/],
    ['padding by braces', "{{ '{:1000000000}'.format(1) }}", /a text of/],
    ['ljust', "{{ 'a'.ljust(1000000000) }}", /a text of/],
    ['zfill', "{{ 'a'.zfill(1000000000) }}", /a text of/],
    ['indent by 10⁹', '{{ [[1]] | tojson(indent=1000000000) }}', /indent/],
    ['batches of 10⁹', "{{ [1] | batch(1000000000, 'x') }}", /not ended after/],
    ['10⁹ slices', '{{ [1] | slice(1000000000) }}', /not ended after/],
    ['a macro that calls itself', '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}', /levels deep/],
    [
      'a macro that calls itself twice',
      '{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}',
      /not ended after/,
    ],
    ['a loop that calls itself', '{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}', /levels deep/],
    ['a filter that maps itself', `{{ [[1]] | map('map', 'map', 'map') | list }}`, /./],
    ['a whole number beyond 2⁵³', '{{ 9 ** 99 }}', /beyond 2⁵³/],
    ['brackets nested deeply', nested('(', ')'), /levels deep/],
    ['lists nested deeply', nested('[', ']'), /levels deep/],
    ['signs in a row', nested('-', ''), /levels deep/],
    ['not in a row', nested('not ', ''), /levels deep/],
    ['blocks nested deeply', '{% if 1 %}'.repeat(5000) + '{% endif %}'.repeat(5000), /levels deep/],
    ['a sum of 5,000', `{{ 1${' + 1'.repeat(5000)} }}`, /in a row/],
    ['fields in a row', `{{ a${'.a'.repeat(5000)} }}`, /in a row/],
  ])('%s', (_, template, reason) => {
    const started = performance.now()
    expect(() => render(template)).toThrow(FoveaError)
    expect(() => render(template)).toThrow(reason)
    // twice, each about a fifth of a second at worst; the rest is room for slow machines
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it('grow with what there is to write', () => {
    const messages = Array.from({ length: 10_000 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content: `m${i}`,
    }))
    const template =
      "{% for m in messages %}{% if m.role == 'user' and 'x' not in m.content %}<|u|>{{ m.content | trim }}{% else %}<|a|>{{ m['content'].strip() + '<|end|>' }}{% endif %}{% endfor %}"
    const { text } = render(template, messages)
    expect(text.startsWith('<|u|>m0<|a|>m1<|end|><|u|>m2')).toBe(true)
    expect(text.length).toBe(5000 * 5 + 5000 * 12 + messages.reduce((sum, { content }) => sum + content.length, 0))
    const long = 'word '.repeat(200_000)
    expect(render("{{ messages[0].content.split(' ') | join('_') }}", [{ role: 'user', content: long }]).text).toBe(
      long.replaceAll(' ', '_'),
    )
  })
})

describe('which parts of a prompt were given', () => {
  const partsOf = (template: string, messages: readonly unknown[], given?: Record<string, unknown>) => {
    const { text, given: parts } = render(template, messages, given)
    return parts.map(([start, end]) => text.slice(start, end))
  }
  const message = [{ role: 'user', content: ' a😀b</think> c ', name: 'N' }]
  const of = (expression: string) => partsOf(`<x>{{ ${expression} }}<y>`, message)

  it.each<[string, string[]]>([
    ["'<' + messages[0].content + '>'", [' a😀b</think> c ']],
    ["messages[0].content ~ '|' ~ messages[0].name", [' a😀b</think> c ', 'N']],
    ['messages[0].content.strip()', ['a😀b</think> c']],
    ['messages[0].content | trim', ['a😀b</think> c']],
    ["messages[0].content.split('</think>')[-1].lstrip()", ['c ']],
    ["messages[0].content.split() | join('<|x|>')", ['a😀b</think>', 'c']],
    ['messages[0].content[2:4]', ['😀b']],
    ["messages[0].content.replace('</think>', '<|x|>')", [' a😀b', ' c ']],
    ["'<|x|>'.join([messages[0].name, messages[0].name])", ['N', 'N']],
    ["'<|%s|>' % messages[0].name", ['N']],
    ["'<|%s|>' | format(messages[0].name)", ['N']],
    ["'<|{}|>'.format(messages[0].name)", ['N']],
    // what is made anew is given as a whole
    ['messages[0].content.upper()', [' A😀B</THINK> C ']],
    ['messages[0] | tojson', ['{"role": "user", "content": " a😀b</think> c ", "name": "N"}']],
    ['[messages[0].name, 1]', ["['N', 1]"]],
    ["messages[0].name.rjust(3, '-')", ['N']],
    ["messages[0].content | replace(' ', '')", ['a😀b</think>c']],
    ["(messages[0].content | list)[1:3] | join('')", ['a😀']],
    // no part of what the caller wrote
    ["'a' in messages[0].content", []],
    ['messages[0].content | length', []],
    ["'<|' ~ messages[0].role ~ '|>'", []],
    ['messages | length ~ bos_token', []],
  ])('%s', (expression, parts) => expect(of(expression)).toEqual(parts))

  it('are those of loops, macros, filters and sets as well', () => {
    const template =
      "{% macro m(x) %}[{{ x }}]{% endmacro %}{% set t %}<{{ messages[0].name }}>{% endset %}{{ t }}{{ m(messages[0].name) }}{% for c in messages[0].name ~ '!' %}{{ c }}{% endfor %}{% filter trim %} {{ messages[0].name }} {% endfilter %}{% call m('') %}{% endcall %}"
    expect(render(template, message).text).toBe('<N>[N]N!N[]')
    expect(partsOf(template, message)).toEqual(['N', 'N', 'N', 'N'])
  })

  it('are the arguments of the caller, and a role that is more than a word', () => {
    expect(partsOf('{{ a }}{{ messages[0].role }}', [{ role: 'a|>', content: '' }], { a: '<|x|>' })).toEqual([
      '<|x|>a|>',
    ])
    expect(partsOf("{{ a.b }}-{{ a | list | join(',') }}", [], { a: { b: 'v', '<|k|>': 1 } })).toEqual(['v', '<|k|>'])
  })
})
