import { isRecord } from '../architectures/config-fields.ts'
import { definitionFault } from './definition-fault.ts'

/** Tokens that stand before and after a text. */
export interface TemplateEnds {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** every text gets them: a template may name a token again and again, each time with its whole list of ids */
const mostTokens = 1024

const none: TemplateEnds = { before: [], after: [] }

/**
 * What a tokenizer.json's `post_processor` puts around one text. `id`: a token's id by its text. Throws `format` for a token
 * that there is not, ids that are none, more than 1,024 tokens; `unsupported` for a type that is not known.
 */
export function templateEnds(processor: unknown, id: (content: string) => number | undefined): TemplateEnds {
  const ends = endsOf(processor, id)
  const wrong = [...ends.before, ...ends.after].find((token) => !Number.isSafeInteger(token) || token < 0)
  if (wrong !== undefined) throw definitionFault('format', 'post_processor', wrong, 'must name ids of tokens')
  return ends
}

function endsOf(processor: unknown, id: (content: string) => number | undefined): TemplateEnds {
  if (processor === null || processor === undefined) return none
  if (!isRecord(processor)) throw definitionFault('format', 'post_processor', processor, 'must be an object')
  const { type, processors, single, special_tokens, cls, sep } = processor
  const pair = (value: unknown) => (Array.isArray(value) && typeof value[1] === 'number' ? value[1] : -1)
  switch (type) {
    case 'ByteLevel':
      return none
    case 'Sequence':
      return (Array.isArray(processors) ? processors : [])
        .map((each) => endsOf(each, id))
        .reduce(
          (inner, outer) => ({ before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] }),
          none,
        )
    case 'BertProcessing':
    case 'RobertaProcessing':
      if (pair(cls) < 0 || pair(sep) < 0)
        throw definitionFault('format', 'post_processor', processor, 'must have cls and sep')
      return { before: [pair(cls)], after: [pair(sep)] }
    case 'TemplateProcessing':
      return ofTemplate(single, (content) => {
        const known = isRecord(special_tokens) ? special_tokens[content] : undefined
        if (isRecord(known) && Array.isArray(known.ids)) return known.ids as number[]
        const own = id(content)
        if (own === undefined) throw definitionFault('format', 'post_processor.single', content, 'must be of tokens')
        return [own]
      })
    default:
      throw definitionFault('unsupported', 'post_processor.type', type, 'must be a template, ByteLevel, Bert, Roberta')
  }
}

function ofTemplate(single: unknown, idsOf: (content: string) => readonly number[]): TemplateEnds {
  const [before, after]: [number[], number[]] = [[], []]
  let behind = false
  for (const part of Array.isArray(single) ? single : []) {
    if (!isRecord(part)) throw definitionFault('format', 'post_processor.single', part, 'must be of objects')
    if (isRecord(part.Sequence)) behind = true
    else if (isRecord(part.SpecialToken)) {
      const ids = idsOf(String(part.SpecialToken.id))
      if (before.length + after.length + ids.length > mostTokens)
        throw definitionFault('format', 'post_processor.single', single, `must be of at most ${mostTokens} tokens`)
      ;(behind ? after : before).push(...ids)
    }
  }
  return { before, after }
}
