import { PairHeap } from './pair-heap.ts'

export interface MergeCorpus {
  /** tokens of all words, one word after another; changed in place */
  readonly tokens: Int32Array
  /** where words begin, and the end: one more than words */
  readonly starts: Int32Array
  /** how often each word occurs */
  readonly counts: Float64Array
}

/** pairs are keyed left · 2^21 + right: exact in a double, and in the order of (left, right) */
const span = 2 ** 21

/**
 * Byte-pair encoding (Gage, 1994; Sennrich et al., arXiv 1508.07909): again and again the most frequent pair of neighbouring
 * tokens becomes one token. Exact: each step counts all pairs as they lie then, a pair that overlaps itself ("aaa") as
 * often as it begins. Ties go to the pair with the older left token, then the older right token.
 *
 * `merge` names the new token of a pair (one that is there already when the same text has been made before), or gives null
 * to stop. Pair counts are kept up to date: a merge costs time in proportion to the words in which it happens.
 */
export function learnMerges(corpus: MergeCorpus, merge: (left: number, right: number) => number | null): void {
  const { tokens, starts, counts } = corpus
  const words = counts.length
  const lengths = Int32Array.from(
    { length: words },
    (_, word) => (starts[word + 1] as number) - (starts[word] as number),
  )
  const pairCounts = new Map<number, number>()
  /** words in which a pair has been, at some time */
  const places = new Map<number, number[]>()

  const change = (key: number, word: number, by: number): void => {
    pairCounts.set(key, (pairCounts.get(key) ?? 0) + by)
    if (by < 0) return
    const list = places.get(key)
    if (!list) places.set(key, [word])
    else if (list[list.length - 1] !== word) list.push(word)
  }

  for (let word = 0; word < words; word++) {
    const [start, end] = [starts[word] as number, starts[word + 1] as number]
    for (let at = start; at + 1 < end; at++)
      change((tokens[at] as number) * span + (tokens[at + 1] as number), word, counts[word] as number)
  }
  const heap = new PairHeap()
  for (const [key, count] of pairCounts) heap.push(count, key)

  /** Replaces the pair in one word from left to right; gives the pairs that came to be. */
  const mergeWord = (word: number, left: number, right: number, token: number, born: Set<number>): void => {
    const start = starts[word] as number
    const end = start + (lengths[word] as number)
    const count = counts[word] as number
    let out = start
    for (let at = start; at < end; at++) {
      const here = tokens[at] as number
      if (here !== left || at + 1 >= end || tokens[at + 1] !== right) {
        tokens[out++] = here
        continue
      }
      if (out > start) {
        const before = tokens[out - 1] as number
        change(before * span + left, word, -count)
        change(before * span + token, word, count)
        born.add(before * span + token)
      }
      if (at + 2 < end) {
        const after = tokens[at + 2] as number
        change(right * span + after, word, -count)
        change(token * span + after, word, count)
        born.add(token * span + after)
      }
      tokens[out++] = token
      at++
    }
    lengths[word] = out - start
  }

  for (let top = heap.pop(); top; top = heap.pop()) {
    const { count, key } = top
    const current = pairCounts.get(key) ?? 0
    if (count !== current) {
      // counts of old pairs only fall, so that what comes up late is put back in its place
      if (current > 0 && current < count) heap.push(current, key)
      continue
    }
    if (count <= 0) continue
    const [left, right] = [Math.floor(key / span), key % span]
    const token = merge(left, right)
    if (token === null) return
    const born = new Set<number>()
    for (const word of places.get(key) ?? []) mergeWord(word, left, right, token, born)
    places.delete(key)
    pairCounts.delete(key)
    for (const pair of born) {
      const now = pairCounts.get(pair) ?? 0
      if (now > 0) heap.push(now, pair)
    }
  }
}
