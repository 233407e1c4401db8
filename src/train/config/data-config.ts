import { isRecord } from '../../model/architectures/config-fields.ts'
import {
  belowOne,
  either,
  flag,
  object,
  oneOrMore,
  optional,
  pair,
  positive,
  type Reader,
  text,
  variant,
  whole,
  word,
} from './field-readers.ts'

const isNumber = (value: unknown) => typeof value === 'number'

/** a count, or the least and the most of what is drawn */
const range = either('a whole number or a list of two', isNumber, whole(1), pair(whole(1)), Array.isArray)

/** part of all rows, relative to the other parts of `data` */
const share = optional(positive, 1)

const taskKinds = {
  mqar: object({
    task: word('mqar'),
    share,
    vocabSize: optional(whole(4), 256),
    pairs: optional(whole(1), 4),
    powerLaw: optional(positive, 0.01),
    noise: optional(flag, false),
  }),
  induction: object({ task: word('induction'), share, vocabSize: optional(whole(3), 256) }),
  copying: object({
    task: word('copying'),
    share,
    vocabSize: optional(whole(3), 256),
    items: optional(whole(1), 16),
  }),
  'selective-copying': object({
    task: word('selective-copying'),
    share,
    vocabSize: optional(whole(3), 256),
    items: optional(whole(1), 16),
  }),
  retrieval: object({
    task: word('retrieval'),
    share,
    form: optional(word('single', 'dense'), 'single'),
    codes: optional(range),
    questions: optional(range),
    documentTokens: optional(range),
    learn: optional(word('answers', 'all'), 'answers'),
    /** puts stretches of the texts of `data` between the facts of half of the dense documents */
    prose: optional(flag, false),
  }),
}

export type TaskConfig = {
  [Kind in keyof typeof taskKinds]: ReturnType<(typeof taskKinds)[Kind]>
}[keyof typeof taskKinds]
export type TaskName = keyof typeof taskKinds
export const taskNames = Object.keys(taskKinds) as TaskName[]

const textsReader = object({
  /** files and folders */
  texts: oneOrMore(text),
  share,
  /** the last part of the texts, or texts of their own, to judge by */
  heldOut: optional(
    either('a number or paths', isNumber, belowOne, oneOrMore(text), (value) => !isNumber(value)),
    0.01,
  ),
})

export type TextsConfig = ReturnType<typeof textsReader>
export type DataPart = TaskConfig | TextsConfig

const part: Reader<DataPart> = (value, path, faults) =>
  isRecord(value) && 'texts' in value
    ? textsReader(value, path, faults)
    : variant<DataPart>('task', taskKinds)(value, path, faults)

/** Texts or a synthetic task, or several of them in shares. */
export const dataReader = oneOrMore(part)

/** tasks whose tokens are numbers rather than text */
export function isTokenTask(part: DataPart): part is Exclude<TaskConfig, { task: 'retrieval' }> {
  return 'task' in part && part.task !== 'retrieval'
}
