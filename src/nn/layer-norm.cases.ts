export interface LayerNormCase {
  readonly name: string
  readonly N: number
  readonly D: number
  readonly weight: boolean
  readonly bias: boolean
  readonly offset: number
  readonly eps: number
  /** factor of the inputs, which are drawn from −1 … 1 */
  readonly magnitude: number
  /** added to the inputs */
  readonly mean: number
}

const plain: LayerNormCase = {
  name: '',
  N: 8,
  D: 64,
  weight: true,
  bias: true,
  offset: 0,
  eps: 1e-5,
  magnitude: 1,
  mean: 0,
}
const vary = (name: string, change: Partial<LayerNormCase>): LayerNormCase => ({ ...plain, ...change, name })

/** Chosen to expose: rows and columns that are no tile, absent vectors, a mean that hides the variance of a one-pass formula. */
export const layerNormCases: readonly LayerNormCase[] = [
  vary('plain', {}),
  vary('one number', { N: 1, D: 1 }),
  vary('one row', { N: 1, D: 384 }),
  vary('odd', { N: 7, D: 65 }),
  vary('rows in steps', { N: 2, D: 9001 }),
  vary('many rows', { N: 131, D: 40 }),
  vary('neither weight nor bias', { N: 6, D: 96, weight: false, bias: false }),
  vary('no bias, weight from 1', { N: 6, D: 96, bias: false, offset: 1 }),
  vary('a large mean', { N: 6, D: 99, mean: 100, magnitude: 1 }),
  vary('small numbers', { N: 6, D: 96, magnitude: 1e-3 }),
  vary('zeros', { N: 3, D: 50, magnitude: 0 }),
]

/** x [N, D], weight and bias [D]; `random` gives numbers in −1 … 1. */
export function layerNormInputs(of: LayerNormCase, random: () => number) {
  const draw = (n: number, factor = 1, mean = 0) =>
    Float64Array.from({ length: n }, () => Math.fround(mean + random() * factor))
  return {
    x: draw(of.N * of.D, of.magnitude, of.mean),
    weight: of.weight ? draw(of.D) : null,
    bias: of.bias ? draw(of.D) : null,
  }
}

/** Bytes that a call must read and write, at `width` bytes an element. */
export function layerNormBytes({ N, D, weight, bias }: LayerNormCase, width: number): number {
  return width * (2 * N * D + (weight ? D : 0) + (bias ? D : 0))
}
