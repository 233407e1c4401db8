import {
  causal,
  causalBottomRight,
  causalOffset,
  dilated,
  globalSliding,
  type Mask,
  neighborhood1d,
  neighborhood2d,
  prefix,
  slidingWindow,
} from '../attention/masks/index.ts'
import { FoveaError } from '../ir/error.ts'

/** Masks that need no tensor, by the word that names them; `least` and `most` count their numbers. */
const masks: Readonly<
  Record<string, { least: number; most: number; make: (numbers: number[]) => Mask; form: string }>
> = {
  causal: { least: 0, most: 0, make: () => causal, form: 'causal' },
  'causal-bottom-right': { least: 0, most: 0, make: () => causalBottomRight, form: 'causal-bottom-right' },
  'causal-offset': { least: 1, most: 1, make: ([n = 0]) => causalOffset(n), form: 'causal-offset:OFFSET' },
  window: { least: 1, most: 2, make: ([left = 0, right]) => slidingWindow(left, right), form: 'window:LEFT[,RIGHT]' },
  prefix: { least: 1, most: 1, make: ([n = 0]) => prefix(n), form: 'prefix:LENGTH' },
  dilated: { least: 2, most: 2, make: ([w = 0, n = 1]) => dilated(w, n), form: 'dilated:WINDOW,DILATION' },
  global: { least: 2, most: 2, make: ([n = 0, w = 0]) => globalSliding(n, w), form: 'global:GLOBAL,WINDOW' },
  natten: { least: 2, most: 2, make: ([n = 0, k = 0]) => neighborhood1d(n, k), form: 'natten:LENGTH,KERNEL' },
  natten2d: {
    least: 3,
    most: 3,
    make: ([h = 0, w = 0, k = 0]) => neighborhood2d(h, w, k),
    form: 'natten2d:HEIGHT,WIDTH,KERNEL',
  },
}

/** How masks are written on the command line, for help and errors. */
export const maskForms = Object.values(masks)
  .map(({ form }) => form)
  .join(' ')

/**
 * A mask written as words: `causal`, `window:1024`, `causal+window:1024` (both), `causal/prefix:64` (either), `!causal`.
 * `+` binds before `/`. Throws `argument`.
 */
export function parseMask(where: string, text: string): Mask {
  const either = text.split('/').map((part) => part.split('+').map((word) => parseWord(where, word.trim())))
  const joined = either.map((all) => all.reduce((a, b) => a.and(b)))
  return joined.reduce((a, b) => a.or(b))
}

function parseWord(where: string, word: string): Mask {
  if (word.startsWith('!')) return parseWord(where, word.slice(1)).not()
  const [name = '', list] = word.split(':')
  const known = Object.hasOwn(masks, name) ? masks[name] : undefined
  if (!known) throw new FoveaError('argument', where, `no mask '${word}'; masks are ${maskForms}`)
  const numbers = list === undefined ? [] : list.split(',').map(Number)
  if (numbers.length < known.least || numbers.length > known.most || !numbers.every(Number.isInteger))
    throw new FoveaError('argument', where, `'${word}' should read ${known.form}, in whole numbers`)
  return known.make(numbers)
}
