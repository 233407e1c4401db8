import { wordPattern } from './word-pattern.ts'

/** How often each word occurs, in the order in which they were met. */
export type WordCounts = Map<string, number>

/** Adds the words of one text to `counts`. */
export function countWords(counts: WordCounts, text: string, splitDigits: boolean): void {
  const words = wordPattern(splitDigits)
  for (let match = words.exec(text); match; match = words.exec(text)) {
    const word = match[0]
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
}
