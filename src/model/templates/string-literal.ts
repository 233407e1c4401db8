import { TemplateFault } from './template-value.ts'

const short: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/** The text of a literal in quotes, with Python's escapes; a backslash before any other character stays. */
export function stringLiteral(quoted: string): string {
  const pattern = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g
  return quoted.slice(1, -1).replace(pattern, (whole, two, four, eight, octal, letter) => {
    const hex = two ?? four ?? eight
    if (hex !== undefined) return character(Number.parseInt(hex, 16))
    if (octal !== undefined) return character(Number.parseInt(octal, 8))
    return short[letter] ?? whole
  })
}

function character(code: number): string {
  if (code > 0x10ffff) throw new TemplateFault(`there is no character U+${code.toString(16)}`)
  return String.fromCodePoint(code)
}
