import { FoveaError } from '../../tile/index.ts'

/** Unicode's White_Space, which is not what `\s` means in JavaScript: that has U+FEFF and lacks U+0085 */
const space = '\\t-\\r\\x20\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000'
const classes: Readonly<Record<string, string>> = {
  s: space,
  d: '\\p{Nd}',
  w: '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}',
  h: '0-9A-Fa-f',
}
const posix: Readonly<Record<string, string>> = {
  alpha: '\\p{Alphabetic}',
  digit: '\\p{Nd}',
  alnum: '\\p{Alphabetic}\\p{Nd}',
  upper: '\\p{Uppercase}',
  lower: '\\p{Lowercase}',
  space,
  punct: '\\p{P}\\p{S}',
  cntrl: '\\p{Cc}',
  xdigit: '0-9A-Fa-f',
  word: '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}',
}
/** signs that an expression with the flag v takes for something else, inside a class and outside */
const signsInClass = /[()[\]{}/|\\^&!#%,:;<=>@`~.*+?$-]/
const signs = /[/^$\\.*+?()[\]{}|]/
/** letters of properties whose names JavaScript writes in another way: scripts, and Oniguruma's names in small letters */
const isProperty = /^\\([pP])\{(\^?)([^}]*)\}/

/**
 * An expression of Oniguruma (Ruby's syntax, as Hugging Face's tokenizers use it) as one of JavaScript with the flag v:
 * `\s` and `\w` are Unicode's, `^` and `$` are of lines, `(?i:` covers its group, and `(?>`, `*+`, `++`, `?+` give nothing back.
 *
 * Throws `format` for an expression that ends too early, `unsupported` for what JavaScript has no counterpart of.
 */
export function translateRegex(source: string): string {
  return new Translation(source).whole()
}

class Translation {
  readonly #source: string
  #at = 0
  #atomics = 0

  constructor(source: string) {
    this.#source = source
  }

  whole(): string {
    const translated = this.#alternatives(false)
    if (this.#at < this.#source.length) throw this.#fault('format', 'has a ) too many')
    return translated
  }

  /** Up to the end or the parenthesis that closes the group. */
  #alternatives(ignoreCase: boolean): string {
    let out = ''
    while (this.#at < this.#source.length && this.#source[this.#at] !== ')') {
      const flags = this.#take(/^\(\?([ix]*)(?:-([ix]*))?\)/)
      // flags hold to the end of their group, alternatives included: a(?i)b|c is a(?i:b|c)
      if (flags) return `${out}(?:${this.#alternatives(this.#folds(flags, ignoreCase))})`
      out += this.#take(/^\|/) ? '|' : this.#quantified(this.#atom(ignoreCase))
    }
    return out
  }

  #folds([text, on = '', off = '']: RegExpExecArray, before: boolean): boolean {
    if (`${on}${off}`.includes('x')) throw this.#fault('unsupported', `uses ${text}`)
    return off.includes('i') ? false : on.includes('i') || before
  }

  #quantified(atom: string): string {
    const found = this.#take(/^(?:[*+?]|\{\d*,?\d*\})([+?]?)/)
    if (!found) return atom
    const [text, mode] = found
    const open = text.startsWith('{')
    // a { that counts nothing is a letter, and a + after a count repeats it
    if (open && !/^\{(\d+(,\d*)?|,\d+)\}/.test(text)) {
      this.#at -= text.length - 1
      return `${atom}\\{`
    }
    const plain = (mode ? text.slice(0, -1) : text).replace('{,', '{0,')
    if (mode === '+' && !open) return this.#atomic(`${atom}${plain}`)
    if (mode === '+') this.#at--
    const counted = `${atom}${plain}${mode === '?' ? '?' : ''}`
    return open && mode === '+' ? this.#quantified(`(?:${counted})`) : counted
  }

  /** What has matched is not tried otherwise: a look ahead that is then matched as it was. */
  #atomic(inner: string): string {
    const name = `atomic${this.#atomics++}`
    return `(?=(?<${name}>${inner}))\\k<${name}>`
  }

  #atom(fold: boolean): string {
    const [letter = ''] = this.#take(/^[\s\S]/u) ?? []
    if (letter === '[') return this.#class(fold)
    if (letter === '(') return this.#group(fold)
    if (letter === '.') return '[^\\n]'
    if (letter === '^') return '(?:^|(?<=\\n))'
    if (letter === '$') return '(?=\\n|$)'
    if (letter === '\\') return this.#escape(fold)
    if (/[*+?]/.test(letter)) throw this.#fault('format', `has ${letter} after nothing`)
    return this.#letter(letter, fold)
  }

  #group(fold: boolean): string {
    if (this.#take(/^\?>/)) return this.#atomic(`(?:${this.#closed(fold)})`)
    if (this.#take(/^\?#[^)]*\)/)) return ''
    const flags = this.#take(/^\?([ix]*)(?:-([ix]*))?:/)
    if (flags) return `(?:${this.#closed(this.#folds(flags, fold))})`
    const look = this.#take(/^\?(?:[=!:]|<[=!])/)
    if (look) return `(${look[0]}${this.#closed(fold)})`
    const named = this.#take(/^\?<([A-Za-z_]\w*)>/)
    if (named) return `(?<${named[1]}>${this.#closed(fold)})`
    if (this.#source[this.#at] === '?')
      throw this.#fault('unsupported', `uses (${this.#source.slice(this.#at, this.#at + 3)}`)
    // nobody looks at what a group has matched, but an expression may refer to it
    return `(${this.#closed(fold)})`
  }

  #closed(fold: boolean): string {
    const inner = this.#alternatives(fold)
    if (!this.#take(/^\)/)) throw this.#fault('format', 'has a group that is not closed')
    return inner
  }

  #escape(fold: boolean): string {
    const property = this.#property()
    if (property) return property
    const anchor = this.#take(/^[AzZbBG]/)?.[0]
    if (anchor === 'A') return '(?<![\\s\\S])'
    if (anchor === 'z') return '(?![\\s\\S])'
    if (anchor === 'Z') return '(?=\\n?(?![\\s\\S]))'
    if (anchor) throw this.#fault('unsupported', `uses \\${anchor}`)
    const kind = this.#take(/^[sSdDwWhH]/)?.[0]
    if (kind) return `[${kind === kind.toLowerCase() ? '' : '^'}${classes[kind.toLowerCase()]}]`
    const back = this.#take(/^[1-9]|^k<\w+>/)?.[0]
    if (back) return `\\${back}`
    if (this.#take(/^R/)) return '(?:\\r\\n|[\\n-\\r\\x85\\u2028\\u2029])'
    return this.#letter(this.#escapedLetter(), fold)
  }

  /** After a backslash: `p{L}`, `P{L}`, `p{^L}`; scripts by their name. */
  #property(): string | undefined {
    const found = isProperty.exec(this.#source.slice(this.#at - 1, this.#at + 60))
    if (!found) return undefined
    const [text, kind, not, name = ''] = found
    this.#at += text.length - 1
    const negated = (kind === 'P') !== (not === '^')
    const known = posix[name.toLowerCase()]
    if (known) return `[${negated ? '^' : ''}${known}]`
    const written = isValid(`\\p{${name}}`) ? name : isValid(`\\p{sc=${name}}`) ? `sc=${name}` : undefined
    if (written === undefined) throw this.#fault('unsupported', `uses ${text}`)
    return `\\${negated ? 'P' : 'p'}{${written}}`
  }

  #escapedLetter(): string {
    const code = this.#take(/^(?:x\{([0-9A-Fa-f]+)\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))/)
    if (code) return String.fromCodePoint(Number.parseInt(code[1] ?? code[2] ?? code[3] ?? '', 16))
    const [letter] = this.#take(/^[\s\S]/u) ?? []
    if (letter === undefined) throw this.#fault('format', 'ends with a backslash')
    const known: Readonly<Record<string, string>> = {
      n: '\n',
      r: '\r',
      t: '\t',
      f: '\f',
      v: '\v',
      a: '\x07',
      e: '\x1b',
      0: '\0',
    }
    return known[letter] ?? letter
  }

  #letter(letter: string, fold: boolean): string {
    const written = signs.test(letter) ? `\\${letter}` : letter
    const cases = fold ? casesOf(letter) : []
    return cases.length > 1 ? `[${cases.join('')}]` : written
  }

  /** After its bracket: letters, ranges, properties, classes in classes, and `&&`. */
  #class(fold: boolean): string {
    let out = this.#take(/^\^/) ? '[^' : '['
    for (let first = true; ; first = false) {
      const named = this.#take(/^\[:(\^?)(\w+):\]/)
      if (named) {
        const known = posix[named[2] ?? '']
        if (!known) throw this.#fault('unsupported', `uses ${named[0]}`)
        out += named[1] ? `[^${known}]` : known
        continue
      }
      const [letter] = this.#take(/^&&|^[\s\S]/u) ?? []
      if (letter === undefined) throw this.#fault('format', 'has a class that is not closed')
      if (letter === ']' && !first) return out === '[' ? '(?!)' : `${intersected(out)}]`
      if (letter === '&&') out += '&&'
      else if (letter === '[') out += this.#class(fold)
      else out += this.#classItem(letter, fold)
    }
  }

  #classItem(letter: string, fold: boolean): string {
    if (letter === '\\') {
      const property = this.#property()
      if (property) return property
      const kind = this.#take(/^[sSdDwWhH]/)?.[0]
      if (kind) return kind === kind.toLowerCase() ? `${classes[kind]}` : `[^${classes[kind.toLowerCase()]}]`
    }
    const low = letter === '\\' ? this.#escapedLetter() : letter
    const range = this.#take(/^-(?=[^\][])(?!\\[pPsSdDwWhH])/)
    if (!range) return (fold ? casesOf(low) : [low]).map(inClass).join('')
    const [next = ''] = this.#take(/^[\s\S]/u) ?? []
    const high = next === '\\' ? this.#escapedLetter() : next
    const plain = `${inClass(low)}-${inClass(high)}`
    const letters = /^(?:[a-z]{2}|[A-Z]{2})$/.test(low + high)
    return fold && letters ? `${plain}${swapped(low)}-${swapped(high)}` : plain
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    const found = pattern.exec(this.#source.slice(this.#at, this.#at + 200))
    if (found) this.#at += found[0].length
    return found
  }

  #fault(code: 'format' | 'unsupported', message: string): FoveaError {
    return new FoveaError(code, 'openTokenizer', `the expression ${JSON.stringify(this.#source)} ${message}`)
  }
}

/** What stands on each side of `&&` is one class in JavaScript. */
function intersected(written: string): string {
  if (!written.includes('&&')) return written
  const begin = written.startsWith('[^') ? '[^' : '['
  const sides = written.slice(begin.length).split('&&')
  return `${begin}${sides.map((side) => `[${side}]`).join('&&')}`
}

function inClass(letter: string): string {
  return signsInClass.test(letter) ? `\\${letter}` : letter
}

/** The letters that are the same but for their case; ſ and K (kelvin) are cases of s and k. */
function casesOf(letter: string): readonly string[] {
  const all = [letter, letter.toLowerCase(), letter.toUpperCase()]
  if (/[sSſ]/.test(letter)) all.push('s', 'S', 'ſ')
  if (/[kK\u212A]/.test(letter)) all.push('k', 'K', '\u212A')
  return [...new Set(all)].filter((each) => Array.from(each).length === 1)
}

function swapped(letter: string): string {
  return letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()
}

function isValid(expression: string): boolean {
  try {
    return new RegExp(expression, 'v').source !== ''
  } catch {
    return false
  }
}
