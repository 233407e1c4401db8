import {
  belowOne,
  flag,
  fraction,
  notNegative,
  number,
  object,
  optional,
  pair,
  positive,
  type Reader,
  variant,
  whole,
  word,
} from './field-readers.ts'

const betas = optional(pair(belowOne))
const eps = optional(positive)
/** decoupled decay of matrices, times the learning rate */
const weightDecay = optional(notNegative, 0)
const momentum = optional(belowOne)
const nesterov = optional(flag)

const elementwise = {
  adamw: object({ name: word('adamw'), weightDecay, betas, eps }),
  lion: object({ name: word('lion'), weightDecay, betas }),
  lamb: object({ name: word('lamb'), weightDecay, betas, eps }),
  sgd: object({ name: word('sgd'), weightDecay, momentum, nesterov }),
}

/** what updates vectors, embeddings and the head beside an optimiser of matrices */
const others = {
  /** adamw */
  others: optional(variant('name', elementwise as Readonly<Record<string, Reader<ElementwiseConfig>>>)),
  /** factor of their learning rate (1) */
  othersLearningRate: optional(positive, 1),
}

const optimizerKinds = {
  ...elementwise,
  sophia: object({
    name: word('sophia'),
    weightDecay,
    betas,
    gamma: optional(positive),
    eps,
    every: optional(whole(1)),
  }),
  muon: object({
    name: word('muon'),
    weightDecay,
    momentum,
    nesterov,
    steps: optional(whole(1, 20)),
    adjust: optional(word('original', 'match-rms')),
    ...others,
  }),
  auon: object({ name: word('auon'), weightDecay, momentum, nesterov, ...others }),
}

type ElementwiseConfig = {
  [Name in keyof typeof elementwise]: ReturnType<(typeof elementwise)[Name]>
}[keyof typeof elementwise]
export type OptimizerConfig = {
  [Name in keyof typeof optimizerKinds]: ReturnType<(typeof optimizerKinds)[Name]>
}[keyof typeof optimizerKinds]

export const optimizerReader = variant<OptimizerConfig>('name', optimizerKinds)

const learningRate = positive
/** steps, or below 1 a part of all */
const steps = optional(
  number('that is whole, or a part below 1', (value) => value >= 0 && (value < 1 || Number.isInteger(value))),
)
const final = optional(fraction)

const scheduleKinds = {
  constant: object({ name: word('constant'), learningRate, warmup: steps }),
  cosine: object({ name: word('cosine'), learningRate, warmup: steps, final }),
  'warmup-stable-decay': object({
    name: word('warmup-stable-decay'),
    learningRate,
    warmup: steps,
    decay: steps,
    final,
    shape: optional(word('linear', 'sqrt')),
  }),
  'one-cycle': object({
    name: word('one-cycle'),
    learningRate,
    rise: steps,
    divisor: optional(positive),
    finalDivisor: optional(positive),
  }),
}

export type ScheduleConfig = {
  [Name in keyof typeof scheduleKinds]: ReturnType<(typeof scheduleKinds)[Name]>
}[keyof typeof scheduleKinds]

export const scheduleReader = variant<ScheduleConfig>('name', scheduleKinds)
