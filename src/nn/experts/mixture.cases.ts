import type { WeightDType } from '../weight-data.ts'
import type { MixtureMethod } from './mixture-plan.ts'

export interface MixtureCase {
  readonly name: string
  readonly dtype: WeightDType
  readonly N: number
  readonly E: number
  readonly K: number
  readonly hidden: number
  readonly inner: number
  readonly bias: boolean
  readonly gated: boolean
  readonly weigh: 'output' | 'input'
  readonly accumulate: boolean
  readonly xDType: 'f32' | 'f16'
  /** `spread`: any experts; `one`: the same for all tokens; `beyond`: some that there are not, too */
  readonly choice: 'spread' | 'one' | 'beyond'
  /** experts in a buffer; null: all */
  readonly perBuffer: number | null
  readonly method: MixtureMethod | null
}

const plain: MixtureCase = {
  name: '',
  dtype: 'f32',
  N: 1,
  E: 8,
  K: 2,
  hidden: 32,
  inner: 36,
  bias: false,
  gated: true,
  weigh: 'output',
  accumulate: false,
  xDType: 'f32',
  choice: 'spread',
  perBuffer: null,
  method: null,
}
const vary = (name: string, change: Partial<MixtureCase>): MixtureCase => ({ ...plain, ...change, name })

/** Chosen to expose: both methods, tiles that are empty, full and nearly so, experts without tokens, each kind of buffer. */
export const mixtureCases: readonly MixtureCase[] = [
  vary('one token', {}),
  vary('one token, q4_0, biases, accumulated', { dtype: 'q4_0', inner: 64, bias: true, accumulate: true }),
  vary('one token, not gated, experts in two buffers', { gated: false, perBuffer: 3, bias: true }),
  vary('three tokens of 64 experts, eight each', { N: 3, E: 64, K: 8, inner: 36 }),
  vary('one token, weighed inputs, q8_0', { dtype: 'q8_0', K: 1, inner: 64, weigh: 'input', bias: true }),
  vary('two tokens, q6_k, biases', { N: 2, E: 5, dtype: 'q6_k', hidden: 256, inner: 256, bias: true }),
  vary('two tokens, experts that there are not', { N: 2, K: 3, choice: 'beyond', accumulate: true }),
  vary('sorted, f32, biases', { N: 21, bias: true }),
  vary('sorted, all in one', { N: 70, E: 3, K: 1, choice: 'one' }),
  vary('sorted, all experts for all tokens', { N: 9, E: 3, K: 3, gated: false, accumulate: true }),
  vary('sorted, q4_0, experts in three buffers', { N: 30, dtype: 'q4_0', inner: 64, perBuffer: 3, bias: true }),
  vary('sorted, f16 throughout, weighed inputs', {
    N: 33,
    dtype: 'f16',
    xDType: 'f16',
    weigh: 'input',
    accumulate: true,
  }),
  vary('sorted, experts that there are not', { N: 40, E: 5, K: 4, choice: 'beyond', dtype: 'bf16' }),
  vary('sorted, q6_k, biases', { N: 5, E: 4, K: 3, dtype: 'q6_k', hidden: 256, inner: 256, bias: true }),
  vary('sorted, 64 experts', { N: 19, E: 64, K: 6, dtype: 'q8_0', hidden: 32, inner: 32 }),
  vary('sorted in the largest tiles', { N: 70, E: 4, K: 2, method: { kind: 'tiles', tileM: 48 } }),
  vary('many tokens, each by itself', { N: 17, E: 4, K: 2, method: { kind: 'pairs' } }),
]
