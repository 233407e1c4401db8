import { given } from './marked-text.ts'
import { Dict, TemplateFault, type Value } from './template-value.ts'

/** What is trusted not to hold a control token by itself: a word. */
const isWord = /^[\w-]*$/

/**
 * A value of JavaScript as a template sees it: an object as a dict, undefined fields left out, every text marked as given.
 * A role that is a word is not marked: some templates write control tokens around it ('<|' + role + '|>'), and by
 * itself it is none. `count` is told of what there is.
 */
export function fromPlain(value: unknown, count: (size: number) => void, depth = 0): Value {
  if (depth > 100) throw new TemplateFault('what is given is nested more than 100 levels deep')
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean' || typeof value === 'number') {
    count(1)
    return value
  }
  if (typeof value === 'string') {
    count(1 + value.length)
    return given(value)
  }
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object') throw new TemplateFault(`a ${typeof value} is nothing that a template can be given`)
  if (Array.isArray(value)) {
    count(1 + value.length)
    return value.map((each) => fromPlain(each, count, depth + 1))
  }
  const dict = new Dict()
  for (const [key, each] of Object.entries(value)) {
    if (each === undefined) continue
    count(1 + key.length)
    const trusted = key === 'role' && typeof each === 'string' && isWord.test(each)
    // names of fields that a template asks for are its own; others may come from anywhere
    dict.set(isWord.test(key) ? key : given(key), trusted ? each : fromPlain(each, count, depth + 1))
  }
  return dict
}
