/** GPT-2's letters for bytes: printable ones stand for themselves, the others for those from U+0100 on, in order. */
export function bytesByLetter(): ReadonlyMap<string, number> {
  return new Map(letters.map((letter, byte) => [letter, byte]))
}

const letters: readonly string[] = (() => {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    return String.fromCodePoint(printable ? byte : next++)
  })
})()

const encoder = new TextEncoder()

/** A text with a letter for each byte of its UTF-8. */
export function byteLetters(text: string): string {
  let out = ''
  for (const byte of encoder.encode(text)) out += letters[byte]
  return out
}
