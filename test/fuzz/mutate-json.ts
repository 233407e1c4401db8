import type { Draw } from './draw.ts'
import { mutateBytes } from './mutate-bytes.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const absurdValues: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  2,
  1.5,
  -0.5,
  3,
  100,
  4e9,
  1e9,
  1e12,
  1e15,
  2 ** 53,
  1e308,
  5e-324,
  '',
  'x',
  ' ',
  '\u0000',
  '../../x',
  'a'.repeat(2000),
  [],
  {},
  [[]],
  [null],
  [1, 'x'],
  { a: {} },
]
/** what Python writes and JSON has not, and other things that a text editor makes of a file */
const absurdTexts: readonly string[] = ['NaN', 'Infinity', '-Infinity', '1e999', '-0', '"\\ud800"', 'undefined', '07']

/**
 * A JSON text with changes: values replaced by absurd ones or by others of the same file, keys left out, doubled, renamed or
 * added, lists grown, brackets nested; sometimes the bytes of the text besides.
 */
export function mutateJson(text: string, draw: Draw): Uint8Array {
  const root = JSON.parse(text) as Json
  const changes = draw.pick([1, 1, 1, 2, 4])
  let whole = root
  for (let i = 0; i < changes; i++) whole = changedOnce(whole, draw)
  // a place holder of its own becomes what JSON cannot say
  const odd = draw.chance(0.08)
  if (odd) whole = replacedSomewhere(whole, '@odd@', draw)
  let written = JSON.stringify(whole)
  if (odd) written = written.replace('"@odd@"', draw.pick(absurdTexts))
  if (draw.chance(0.02))
    written = written.replace(/[[{]/, (bracket) => '['.repeat(draw.pick([10, 300, 20_000])) + bracket)
  if (draw.chance(0.03)) written = `\ufeff${written}`
  const bytes = new TextEncoder().encode(written)
  return draw.chance(0.15) ? mutateBytes(bytes, bytes.byteLength, draw) : bytes
}

interface Place {
  readonly parent: Json[] | { [key: string]: Json }
  readonly key: string
}

/** Every value inside a value; of long lists and tables the first few. */
function placesOf(value: Json, found: Place[] = []): Place[] {
  if (typeof value !== 'object' || value === null) return found
  for (const key of Object.keys(value).slice(0, 40)) {
    found.push({ parent: value, key })
    placesOf((value as { [key: string]: Json })[key] as Json, found)
  }
  return found
}

function replacedSomewhere(root: Json, value: Json, draw: Draw): Json {
  const places = placesOf(root)
  if (places.length === 0) return value
  const { parent, key } = draw.pick(places)
  ;(parent as { [key: string]: Json })[key] = value
  return root
}

function changedOnce(root: Json, draw: Draw): Json {
  const places = placesOf(root)
  if (places.length === 0 || draw.chance(0.01)) return draw.pick(absurdValues)
  const { parent, key } = draw.pick(places)
  const table = parent as { [key: string]: Json }
  const value = table[key] as Json
  const other = () => {
    const { parent: from, key: name } = draw.pick(places)
    return structuredClone((from as { [key: string]: Json })[name] as Json)
  }
  switch (draw.below(9)) {
    case 0:
    case 1:
    case 2:
      table[key] = structuredClone(draw.pick(absurdValues))
      break
    case 3:
      if (Array.isArray(parent)) parent.splice(Number(key), 1)
      else delete parent[key]
      break
    case 4:
      table[key] = other()
      break
    case 5:
      table[`${key}${draw.pick(['', '_', 's'])}`] = other()
      break
    case 6:
      if (typeof value === 'number')
        table[key] = draw.pick([-value, value + 1, value - 1, value * 2, value / 3, value * 1e6])
      else if (typeof value === 'string')
        table[key] = draw.pick([value.slice(1), `${value}${value}`, value.toUpperCase()])
      else table[key] = [value]
      break
    case 7:
      if (Array.isArray(value))
        for (let i = draw.pick([1, 10, 1000]); i > 0; i--) value.push(structuredClone(value[0] ?? null))
      else if (typeof value === 'object' && value !== null)
        value[draw.pick(['__proto__x', 'constructor', '', 'type'])] = other()
      else table[key] = String(value)
      break
    default: {
      // two values change places
      const second = draw.pick(places)
      const there = second.parent as { [key: string]: Json }
      const moved = structuredClone(there[second.key] as Json)
      there[second.key] = structuredClone(value)
      table[key] = moved
    }
  }
  return root
}
