/** The known name that was probably meant: at most two letters (a third of a short one) added, left out, changed or swapped. */
export function closestName(given: string, known: readonly string[]): string | null {
  let best: string | null = null
  let least = Math.min(3, Math.ceil(given.length / 3) + 1)
  for (const name of known) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase())
    if (distance < least) [best, least] = [name, distance]
  }
  return best
}

/** "; did you mean …?", or the names there are where none is close. */
export function meant(given: string, known: readonly string[]): string {
  const closest = closestName(given, known)
  return closest === null ? `; there are ${known.join(', ')}` : `; did you mean ${closest}?`
}

/** Damerau–Levenshtein distance with neighbours swapped (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      const changed = (last[j - 1] as number) + (same ? 0 : 1)
      let cost = Math.min(changed, (last[j] as number) + 1, (row[j - 1] as number) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (before[j - 2] as number) + 1)
      row.push(cost)
    }
    ;[before, last] = [last, row]
  }
  return last[b.length] as number
}
