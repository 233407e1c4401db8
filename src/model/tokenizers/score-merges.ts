/**
 * The merges of a SentencePiece BPE model, which has scores instead: a pair is merged into a token of the vocabulary, the
 * token of the highest score first. Every way of cutting a token into two tokens is a merge, ranked by the token's score;
 * of those with the same score the one with the longer left part comes first, as Hugging Face's converter ranks them.
 */
export function scoreMerges(tokens: readonly string[], scores: readonly number[]): readonly [string, string][] {
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const merges: { readonly left: string; readonly right: string; readonly score: number; readonly at: number }[] = []
  // a token is cut only where both parts are as long as some token: one of a megabyte is not cut a million times
  const lengths = new Set(tokens.map((token) => token.length))
  for (const [id, token] of tokens.entries()) {
    const letters = Array.from(token)
    let left = ''
    for (const letter of letters.slice(0, -1)) {
      left += letter
      if (!lengths.has(left.length) || !lengths.has(token.length - left.length)) continue
      const right = token.slice(left.length)
      if (ids.has(left) && ids.has(right)) merges.push({ left, right, score: scores[id] ?? 0, at: left.length })
    }
  }
  merges.sort((a, b) => b.score - a.score || b.at - a.at)
  return merges.map(({ left, right }) => [left, right])
}
