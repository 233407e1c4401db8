/** numbers in [0, 1) */
type Random = () => number

export interface RetrievalFact {
  readonly thing: string
  /** five digits */
  readonly code: string
}

const adjectives = [
  'amber',
  'broken',
  'crimson',
  'distant',
  'elder',
  'frozen',
  'gilded',
  'hollow',
  'ivory',
  'jagged',
  'lonely',
  'mossy',
  'narrow',
  'patient',
  'quiet',
  'rusted',
  'silver',
  'tall',
  'velvet',
  'weary',
]
const nouns = [
  'anchor',
  'bridge',
  'candle',
  'door',
  'engine',
  'falcon',
  'garden',
  'harbour',
  'island',
  'key',
  'lantern',
  'mirror',
  'orchard',
  'piano',
  'river',
  'statue',
  'tower',
  'vessel',
  'window',
  'wolf',
]
const people = [
  'the captain',
  'an old sailor',
  'her brother',
  'the schoolmaster',
  'a young clerk',
  'the widow',
  'my uncle',
  'the surgeon',
  'a stranger',
  'the baker',
]
const deeds = [
  'looked at',
  'walked past',
  'remembered',
  'spoke of',
  'waited by',
  'dreamed about',
  'turned away from',
  'asked after',
  'wrote about',
  'returned to',
]
const times = [
  'before dawn',
  'that evening',
  'in the rain',
  'without a word',
  'for the last time',
  'as the bells rang',
  'late in the autumn',
  'with some surprise',
  'once more',
  'in silence',
]

/** different things that `drawFacts` knows */
export const mostFacts = adjectives.length * nouns.length

/** Words that things are named by. */
export interface ThingWords {
  readonly adjectives: readonly string[]
  readonly nouns: readonly string[]
}

/** Facts about different things, as many as there are at most (`mostFacts` of the words that evaluations use). */
export function drawFacts(
  random: Random,
  count: number,
  words: ThingWords = { adjectives, nouns },
): readonly RetrievalFact[] {
  const most = words.adjectives.length * words.nouns.length
  const things = new Set<string>()
  while (things.size < Math.min(count, most))
    things.add(`${pick(random, words.adjectives)} ${pick(random, words.nouns)}`)
  return [...things].map((thing) => ({ thing, code: String(10000 + Math.floor(random() * 90000)) }))
}

export function factSentence({ thing, code }: RetrievalFact): string {
  return `The secret code of the ${thing} is ${code}.`
}

/** The beginning of the sentence that a code completes. */
export function factQuestion({ thing }: RetrievalFact): string {
  return `The secret code of the ${thing} is`
}

/** A sentence that says nothing of codes. */
export function fillerSentence(random: Random): string {
  const person = pick(random, people)
  const subject = `${(person[0] as string).toUpperCase()}${person.slice(1)}`
  return `${subject} ${pick(random, deeds)} the ${pick(random, adjectives)} ${pick(random, nouns)} ${pick(random, times)}.`
}

function pick(random: Random, list: readonly string[]): string {
  return list[Math.floor(random() * list.length)] as string
}
