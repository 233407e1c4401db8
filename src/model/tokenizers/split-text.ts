import { definitionFault } from './definition-fault.ts'
import { matchesOf, type TextPattern } from './text-pattern.ts'

const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
/** What becomes of that by which a text is cut, as Hugging Face's tokenizers name it. */
export type SplitBehavior = (typeof behaviors)[number]

/** Throws `format` for what is no behaviour. */
export function splitBehavior(value: unknown): SplitBehavior {
  const known = behaviors.find((each) => each === value)
  if (known) return known
  throw definitionFault('format', 'pre_tokenizer.behavior', value, `must be one of ${behaviors.join(', ')}`)
}

interface Part {
  readonly start: number
  readonly end: number
  /** is it that by which the text is cut? */
  readonly cuts: boolean
}

/** The pieces of a text, none empty. `invert`: cut by what does not match. */
export function* splitText(
  text: string,
  pattern: TextPattern,
  behavior: SplitBehavior,
  invert: boolean,
): Generator<string, void, undefined> {
  // a part that waits for what it may be joined with
  let held: Part | null = null
  let before = false
  for (const part of partsOf(text, pattern, invert)) {
    if (behavior === 'Removed' || behavior === 'Isolated') {
      if (behavior === 'Isolated' || !part.cuts) yield text.slice(part.start, part.end)
      continue
    }
    const joins: boolean =
      held !== null &&
      (behavior === 'Contiguous'
        ? held.cuts === part.cuts
        : behavior === 'MergedWithPrevious'
          ? part.cuts && !before
          : before && !part.cuts)
    if (held && !joins) yield text.slice(held.start, held.end)
    held = { ...part, start: held && joins ? held.start : part.start }
    before = part.cuts
  }
  if (held) yield text.slice(held.start, held.end)
}

function* partsOf(text: string, pattern: TextPattern, invert: boolean): Generator<Part, void, undefined> {
  let at = 0
  for (const { start, end } of matchesOf(pattern, text)) {
    if (start > at) yield { start: at, end: start, cuts: invert }
    if (end > start) yield { start, end, cuts: !invert }
    at = end
  }
  if (at < text.length) yield { start: at, end: text.length, cuts: invert }
}
