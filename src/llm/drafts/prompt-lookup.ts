import type { Drafter } from './drafter.ts'

/** Proposes what followed the newest tokens earlier in the text: quoting, editing and summarising repeat a prompt. */
export function promptLookupDrafter(options: { readonly tokens: number; readonly match: number }): Drafter {
  return {
    most: options.tokens,
    bytes: 0,
    propose: async (sequences) =>
      sequences.map(({ sequence, room }) =>
        promptLookup(sequence.tokens, { count: Math.min(room, options.tokens), match: options.match }),
      ),
    forget: () => {},
    release: async () => {},
  }
}

/**
 * Draft tokens from the text itself (Saxena, Prompt lookup decoding, 2023; Yang et al., 2023, arXiv 2304.04487): what followed
 * the latest earlier occurrence of the last `match` tokens, or of fewer when that many did not occur; at most `count`
 * tokens, none when not even the last token occurred before.
 */
export function promptLookup(
  tokens: readonly number[],
  { count, match }: { readonly count: number; readonly match: number },
): readonly number[] {
  if (count < 1) return []
  for (let size = Math.min(match, tokens.length - 1); size >= 1; size--) {
    const tail = tokens.length - size
    for (let at = tail - 1; at >= 0; at--) {
      let same = 0
      while (same < size && tokens[at + same] === tokens[tail + same]) same++
      if (same === size) return tokens.slice(at + size, Math.min(at + size + count, tokens.length))
    }
  }
  return []
}
