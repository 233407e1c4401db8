import type { RoutingSpec } from './routing-spec.ts'

export interface RoutingCase {
  readonly name: string
  readonly N: number
  readonly E: number
  readonly routing: RoutingSpec
  readonly bias: boolean
  readonly expertScale: boolean
  /** experts are chosen beforehand */
  readonly given: boolean
  /** logits are few different numbers: many are equal */
  readonly ties: boolean
}

const none = { bias: false, expertScale: false, given: false, ties: false }

/** As published models choose, each with a number of experts that fills no vector. */
export const routingCases: readonly RoutingCase[] = [
  {
    ...none,
    name: 'softmax, normalised (Mixtral)',
    N: 7,
    E: 8,
    routing: { perToken: 2, scores: 'softmax', normalize: { plus: 0 } },
  },
  { ...none, name: 'softmax, not normalised (OLMoE)', N: 5, E: 61, routing: { perToken: 8, scores: 'softmax' } },
  {
    ...none,
    name: 'softmax of the chosen (gpt-oss)',
    N: 9,
    E: 33,
    routing: { perToken: 4, scores: 'softmaxOfChosen' },
  },
  {
    ...none,
    name: 'groups by their best (DeepSeek-V2)',
    N: 6,
    E: 24,
    routing: { perToken: 3, scores: 'softmax', groups: { count: 4, kept: 2, by: 'max' }, scale: 16 },
  },
  {
    ...none,
    name: 'groups by their best two, bias (DeepSeek-V3)',
    N: 6,
    E: 30,
    bias: true,
    routing: {
      perToken: 5,
      scores: 'sigmoid',
      groups: { count: 5, kept: 3, by: 'bestTwo' },
      normalize: { plus: 1e-20 },
      scale: 2.5,
    },
  },
  {
    ...none,
    name: 'softmax with bias, a least sum (Ernie 4.5)',
    N: 4,
    E: 13,
    bias: true,
    routing: { perToken: 3, scores: 'softmax', normalize: { atLeast: 0.4 } },
  },
  { ...none, name: 'one by sigmoid (Llama 4)', N: 4, E: 16, routing: { perToken: 1, scores: 'sigmoid' } },
  {
    ...none,
    name: 'sparse mixer (Phi-3.5-MoE)',
    N: 12,
    E: 16,
    routing: { perToken: 2, scores: 'sparseMixer', jitter: 0.2 },
  },
  {
    ...none,
    name: 'a scale for each expert (Gemma 4)',
    N: 3,
    E: 12,
    expertScale: true,
    routing: { perToken: 4, scores: 'softmax', normalize: { plus: 0 } },
  },
  {
    ...none,
    name: 'square roots of softplus, chosen beforehand (DeepSeek-V4)',
    N: 3,
    E: 12,
    given: true,
    routing: { perToken: 4, scores: 'sqrtSoftplus', normalize: { plus: 1e-20 }, scale: 1.5 },
  },
  {
    ...none,
    name: 'equal logits',
    N: 8,
    E: 21,
    ties: true,
    routing: { perToken: 8, scores: 'sigmoid', normalize: { plus: 0 } },
  },
  {
    ...none,
    name: 'equal logits in groups, all experts',
    N: 4,
    E: 8,
    ties: true,
    routing: { perToken: 8, scores: 'softmax', groups: { count: 2, kept: 2, by: 'max' } },
  },
]
