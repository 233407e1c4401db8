/**
 * A text of which parts were given by the caller. `marks` holds where these begin and end, in order, in UTF-16 units: two
 * numbers a part. What a template writes itself is an ordinary string.
 *
 * A chat template's own control tokens are control tokens, those that a user writes are not; which is which is known only
 * here, where the two are joined.
 */
export class MarkedText {
  readonly text: string
  readonly marks: readonly number[]

  constructor(text: string, marks: readonly number[]) {
    this.text = text
    this.marks = marks
  }
}

export type Text = string | MarkedText

export const isText = (value: unknown): value is Text => typeof value === 'string' || value instanceof MarkedText

export const plain = (text: Text): string => (typeof text === 'string' ? text : text.text)

/** The whole of a text is given. */
export const given = (text: string): Text => (text === '' ? '' : new MarkedText(text, [0, text.length]))

/** What is made of texts so that nobody knows where their parts went: given as a whole where some of them is. */
export const derived = (text: string, ...from: readonly unknown[]): Text =>
  from.some((part) => part instanceof MarkedText) ? given(text) : text

/** Texts one after another. */
export function joined(parts: readonly Text[]): Text {
  if (parts.every((part) => typeof part === 'string')) return parts.join('')
  const marks: number[] = []
  let at = 0
  for (const part of parts) {
    if (typeof part === 'string') {
      at += part.length
      continue
    }
    for (let i = 0; i < part.marks.length; i += 2) {
      const start = at + (part.marks[i] ?? 0)
      const end = at + (part.marks[i + 1] ?? 0)
      if (marks.length > 0 && marks[marks.length - 1] === start) marks[marks.length - 1] = end
      else marks.push(start, end)
    }
    at += part.text.length
  }
  return new MarkedText(parts.map(plain).join(''), marks)
}

/** From `start` up to `end`, in UTF-16 units within the text. */
export function sliced(text: Text, start: number, end: number): Text {
  if (typeof text === 'string') return text.slice(start, end)
  const marks: number[] = []
  for (let i = 0; i < text.marks.length; i += 2) {
    const from = Math.max(start, text.marks[i] ?? 0)
    const to = Math.min(end, text.marks[i + 1] ?? 0)
    if (from < to) marks.push(from - start, to - start)
  }
  const part = text.text.slice(start, end)
  return marks.length === 0 ? part : new MarkedText(part, marks)
}
