import { isRecord } from '../architectures/config-fields.ts'
import { definitionFault } from './definition-fault.ts'

/** Tokens that stand before and after a text. */
export interface TemplateEnds {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

const none: TemplateEnds = { before: [], after: [] }

/**
 * What a tokenizer.json's `post_processor` puts around one text. `id`: a token's id by its text. Throws `format` for a token
 * that there is not, `unsupported` for a type that is not known.
 */
export function templateEnds(processor: unknown, id: (content: string) => number | undefined): TemplateEnds {
  if (processor === null || processor === undefined) return none
  if (!isRecord(processor)) throw definitionFault('format', 'post_processor', processor, 'must be an object')
  const { type, processors, single, special_tokens, cls, sep } = processor
  const pair = (value: unknown) => (Array.isArray(value) && typeof value[1] === 'number' ? value[1] : -1)
  switch (type) {
    case 'ByteLevel':
      return none
    case 'Sequence':
      return (Array.isArray(processors) ? processors : [])
        .map((each) => templateEnds(each, id))
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
    else if (isRecord(part.SpecialToken)) (behind ? after : before).push(...idsOf(String(part.SpecialToken.id)))
  }
  return { before, after }
}
