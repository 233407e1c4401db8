import { isRecord } from '../architectures/config-fields.ts'
import { definitionFault } from './definition-fault.ts'

/** A part of what a model is given: the tokens of the first text (0) or the second (1), or tokens of its own. */
export type TemplatePart = { readonly type: number } & (
  | { readonly text: 0 | 1 }
  | { readonly tokens: readonly number[] }
)

/** What stands around one text, and around and between two; null where a tokenizer has none for two. */
export interface TextTemplates {
  readonly single: readonly TemplatePart[]
  readonly pair: readonly TemplatePart[] | null
}

/** every text gets them: a template may name a token again and again, each time with its whole list of ids */
const mostTokens = 1024

const first: TemplatePart = { text: 0, type: 0 }
const plain: TextTemplates = { single: [first], pair: [first, { text: 1, type: 0 }] }

type IdOf = (content: string) => number | undefined

/**
 * What a tokenizer.json's `post_processor` puts around one text and two. `id`: a token's id by its text. Throws `format` for
 * a token that there is not, ids that are none, more than 1,024 tokens; `unsupported` for a type that is not known.
 */
export function textTemplates(processor: unknown, id: IdOf): TextTemplates {
  const templates = templatesOf(processor, id)
  const tokens = [...templates.single, ...(templates.pair ?? [])].flatMap(tokensOf)
  const wrong = tokens.find((token) => !Number.isSafeInteger(token) || token < 0)
  if (wrong !== undefined) throw definitionFault('format', 'post_processor', wrong, 'must name ids of tokens')
  return templates
}

/** The tokens of a part that has its own. */
export function tokensOf(part: TemplatePart): readonly number[] {
  return 'tokens' in part ? part.tokens : []
}

function templatesOf(processor: unknown, id: IdOf): TextTemplates {
  if (processor === null || processor === undefined) return plain
  if (!isRecord(processor)) throw definitionFault('format', 'post_processor', processor, 'must be an object')
  const { type, processors, single, pair, special_tokens, cls, sep } = processor
  const idIn = (value: unknown) => (Array.isArray(value) && typeof value[1] === 'number' ? value[1] : -1)
  switch (type) {
    case 'ByteLevel':
      return plain
    case 'Sequence':
      return (Array.isArray(processors) ? processors : []).map((each) => templatesOf(each, id)).reduce(around, plain)
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const [begin, end] = [idIn(cls), idIn(sep)]
      if (begin < 0 || end < 0) throw definitionFault('format', 'post_processor', processor, 'must have cls and sep')
      const own = (tokens: readonly number[], of: number): TemplatePart => ({ tokens, type: of })
      const roberta = type === 'RobertaProcessing'
      const second = roberta ? 0 : 1
      return {
        single: [own([begin], 0), first, own([end], 0)],
        pair: [
          own([begin], 0),
          first,
          own(roberta ? [end, end] : [end], 0),
          { text: 1, type: second },
          own([end], second),
        ],
      }
    }
    case 'TemplateProcessing': {
      const idsOf = (field: string) => (content: string) => {
        const known = isRecord(special_tokens) ? special_tokens[content] : undefined
        if (isRecord(known) && Array.isArray(known.ids)) return known.ids as number[]
        const own = id(content)
        if (own === undefined) throw definitionFault('format', `post_processor.${field}`, content, 'must be of tokens')
        return [own]
      }
      const two = Array.isArray(pair) ? partsOf('pair', pair, idsOf('pair')) : []
      const hasBoth = two.some((part) => 'text' in part && part.text === 1)
      return { single: partsOf('single', single, idsOf('single')), pair: hasBoth ? two : null }
    }
    default:
      throw definitionFault('unsupported', 'post_processor.type', type, 'must be a template, ByteLevel, Bert, Roberta')
  }
}

/** One processor after another: the later stands around what the earlier gives. Of two texts, one alone may add tokens. */
function around(inner: TextTemplates, outer: TextTemplates): TextTemplates {
  const single = outer.single.flatMap((part) => ('text' in part ? inner.single : [part]))
  const adds = (parts: TextTemplates['pair']) => parts === null || parts.some((part) => 'tokens' in part)
  const pair = adds(outer.pair) ? (adds(inner.pair) ? null : outer.pair) : inner.pair
  return { single, pair }
}

function partsOf(field: 'single' | 'pair', template: unknown, idsOf: (content: string) => readonly number[]) {
  const parts: TemplatePart[] = []
  let count = 0
  for (const part of Array.isArray(template) ? template : []) {
    if (!isRecord(part)) throw definitionFault('format', `post_processor.${field}`, part, 'must be of objects')
    const { Sequence: text, SpecialToken: token } = part
    if (isRecord(text)) parts.push({ text: text.id === 'B' ? 1 : 0, type: typeOf(text) })
    else if (isRecord(token)) {
      const tokens = idsOf(String(token.id))
      count += tokens.length
      if (count > mostTokens)
        throw definitionFault('format', `post_processor.${field}`, template, `must be of at most ${mostTokens} tokens`)
      parts.push({ tokens, type: typeOf(token) })
    }
  }
  return parts
}

function typeOf({ type_id }: Readonly<Record<string, unknown>>): number {
  return Number.isSafeInteger(type_id) && (type_id as number) >= 0 ? (type_id as number) : 0
}
