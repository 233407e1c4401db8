/**
 * The first key that a JSON object has twice at its top level, or undefined. `JSON.parse` keeps the last of them without
 * a word. The text has been parsed before: it is well-formed.
 */
export function duplicateKey(text: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  // a string at depth 1 is a key when it follows "{" or ","
  let expectsKey = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      if (depth === 1 && expectsKey) {
        const key = JSON.parse(text.slice(at, end)) as string
        if (seen.has(key)) return key
        seen.add(key)
      }
      expectsKey = false
      at = end - 1
    } else if (char === '{' || char === '[') {
      depth++
      expectsKey = true
    } else if (char === '}' || char === ']') depth--
    else if (char === ',') expectsKey = true
  }
  return undefined
}

/** The index after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}
