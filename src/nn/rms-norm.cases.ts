export interface RmsNormCase {
  readonly name: string
  readonly N: number
  readonly D: number
  readonly weight: boolean
  readonly offset: number
  readonly eps: number
  /** factor of the inputs, which are drawn from −1 … 1 */
  readonly magnitude: number
}

const plain: RmsNormCase = { name: '', N: 8, D: 64, weight: true, offset: 0, eps: 1e-6, magnitude: 1 }
const vary = (name: string, change: Partial<RmsNormCase>): RmsNormCase => ({ ...plain, ...change, name })

/** Chosen to expose: rows and columns that are no tile, the weight's forms, eps beside small and large numbers. */
export const rmsNormCases: readonly RmsNormCase[] = [
  vary('plain', {}),
  vary('one number', { N: 1, D: 1 }),
  vary('odd', { N: 7, D: 65 }),
  vary('wider than a tile', { N: 5, D: 1000 }),
  vary('very wide', { N: 2, D: 16384 }),
  vary('many rows', { N: 131, D: 40 }),
  vary('no weight', { N: 6, D: 96, weight: false }),
  vary('weight from 1', { N: 6, D: 96, offset: 1 }),
  vary('small numbers', { N: 6, D: 96, eps: 1e-5, magnitude: 1e-3 }),
  vary('large numbers', { N: 6, D: 96, magnitude: 1e4 }),
  vary('zeros', { N: 3, D: 50, magnitude: 0 }),
]

/** x [N, D] and weight [D]; `random` gives numbers in −1 … 1. */
export function rmsNormInputs(of: RmsNormCase, random: () => number) {
  const draw = (n: number, factor = 1) => Float64Array.from({ length: n }, () => Math.fround(random() * factor))
  return { x: draw(of.N * of.D, of.magnitude), weight: of.weight ? draw(of.D) : null }
}

/** Bytes that a call must read and write, at `width` bytes an element. */
export function rmsNormBytes({ N, D, weight }: RmsNormCase, width: number): number {
  return width * (2 * N * D + (weight ? D : 0))
}
