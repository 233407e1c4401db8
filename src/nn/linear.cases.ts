import type { WeightDType } from './weight-data.ts'

export interface LinearCase {
  readonly name: string
  readonly dtype: WeightDType
  readonly N: number
  readonly K: number
  /** rows of the weight's parts; gated: two of one size */
  readonly parts: readonly number[]
  readonly bias: boolean
  /** x is normalised with eps 1e-5 and this offset; only weights in rows do so */
  readonly norm: { readonly offset: number } | null
  readonly activation: 'gelu' | 'silu' | null
  readonly gated: boolean
  readonly accumulate: boolean
  readonly xDType: 'f32' | 'f16'
  readonly outputDType: 'f32' | 'f16'
  /** columns beside those of x and of the output in the tensors that they are views of */
  readonly beside: number
}

const plain: LinearCase = {
  name: '',
  dtype: 'f32',
  N: 1,
  K: 40,
  parts: [70],
  bias: false,
  norm: null,
  activation: null,
  gated: false,
  accumulate: false,
  xDType: 'f32',
  outputDType: 'f32',
  beside: 0,
}
const vary = (name: string, change: Partial<LinearCase>): LinearCase => ({ ...plain, ...change, name })

/** Chosen to expose: each class of row counts, each format with tiles that end inside a block's part, padding between parts. */
export const linearCases: readonly LinearCase[] = [
  vary('f32, one row, bias', { bias: true }),
  vary('f32, few rows, columns beside', { N: 3, K: 75, parts: [33], beside: 3 }),
  vary('f32, many rows, bias, gelu', { N: 65, bias: true, activation: 'gelu' }),
  vary('f32, gated, biases', { N: 20, parts: [40, 40], gated: true, bias: true, activation: 'silu' }),
  vary('bf16, seven rows, accumulated', { dtype: 'bf16', N: 7, K: 72, accumulate: true }),
  vary('f16 throughout, accumulated', {
    dtype: 'f16',
    N: 2,
    K: 136,
    accumulate: true,
    xDType: 'f16',
    outputDType: 'f16',
  }),
  vary('f16 x, many rows', { dtype: 'f16', N: 33, K: 64, parts: [100], xDType: 'f16', accumulate: true }),
  vary('q8_0, one row, three parts, bias', { dtype: 'q8_0', K: 96, parts: [40, 24, 24], bias: true }),
  vary('q8_0, gated', { dtype: 'q8_0', N: 65, K: 96, parts: [40, 40], gated: true, activation: 'silu' }),
  vary('q4_0, one row, gated', { dtype: 'q4_0', K: 96, parts: [40, 40], gated: true, activation: 'silu' }),
  vary('q4_0, many rows', { dtype: 'q4_0', N: 17, K: 160 }),
  vary('q4_k, two rows', { dtype: 'q4_k', N: 2, K: 768 }),
  vary('q4_k, many rows', { dtype: 'q4_k', N: 65, K: 256, parts: [32, 38] }),
  vary('q6_k, one row, accumulated', { dtype: 'q6_k', K: 512, accumulate: true }),
  vary('q6_k, many rows', { dtype: 'q6_k', N: 20, K: 256 }),
  ...(['q4_1', 'q5_0', 'q5_1', 'iq4_nl', 'mxfp4', 'int4_32', 'f8_e4m3_32'] as const).flatMap((dtype) => [
    // parts that begin in the middle of a block
    vary(`${dtype}, one row, gated`, { dtype, K: 96, parts: [40, 40], gated: true, activation: 'silu' }),
    vary(`${dtype}, four rows`, { dtype, N: 4, K: 128 }),
    vary(`${dtype}, many rows`, { dtype, N: 17, K: 160 }),
  ]),
  ...(['q2_k', 'q3_k', 'q5_k', 'iq4_xs', 'int4_64', 'int4_128', 'f8_e4m3_128', 'f8_e5m2_128'] as const).flatMap(
    (dtype) => [
      vary(`${dtype}, one row`, { dtype, K: 768 }),
      vary(`${dtype}, three rows, accumulated`, { dtype, N: 3, K: 256, accumulate: true }),
      vary(`${dtype}, many rows`, { dtype, N: 20, K: 512, parts: [32, 38] }),
    ],
  ),
  vary('f32, one row, norm, bias', { K: 75, norm: { offset: 0 }, bias: true }),
  vary('f16, eight rows, norm, columns beside', { dtype: 'f16', N: 8, K: 136, norm: { offset: 1 }, beside: 4 }),
  vary('q8_0, three rows, norm, gated', {
    dtype: 'q8_0',
    N: 3,
    K: 288,
    parts: [40, 40],
    norm: { offset: 0 },
    gated: true,
    activation: 'silu',
  }),
  vary('q6_k, one row, norm, accumulated', { dtype: 'q6_k', K: 256, norm: { offset: 1 }, accumulate: true }),
]

/** added to the mean of squares of a norm */
export const normEps = 1e-5

/** Numbers of a case in row-major order before they are stored; `random` gives numbers in −1 … 1. */
export function linearInputs(of: LinearCase, random: () => number) {
  const draw = (n: number) => Float64Array.from({ length: n }, () => Math.fround(random()))
  const outputs = of.parts.reduce((sum, rows) => sum + rows, 0)
  const M = of.gated ? outputs / 2 : outputs
  return {
    M,
    x: draw(of.N * of.K),
    weights: of.parts.map((rows) => draw(rows * of.K)),
    norm: of.norm ? draw(of.K) : null,
    bias: of.bias ? draw(outputs) : null,
    before: draw(of.N * M),
  }
}

export function linearFlops({ N, K, parts }: LinearCase): number {
  return 2 * N * K * parts.reduce((sum, rows) => sum + rows, 0)
}
