export interface RopeCase {
  readonly name: string
  readonly N: number
  readonly H: number
  readonly D: number
  readonly rotaryDim: number
  readonly interleaved: boolean
  readonly attentionFactor: number
  readonly base: number
  readonly maxPositions: number
}

const plain: RopeCase = {
  name: '',
  N: 9,
  H: 3,
  D: 64,
  rotaryDim: 64,
  interleaved: false,
  attentionFactor: 1,
  base: 10_000,
  maxPositions: 4096,
}
const vary = (name: string, change: Partial<RopeCase>): RopeCase => ({ ...plain, ...change, name })

/** Chosen to expose: partial heads, widths that are no vector, tables that are no square, angles of many turns. */
export const ropeCases: readonly RopeCase[] = [
  vary('half-split', {}),
  vary('interleaved', { interleaved: true }),
  vary('partial', { rotaryDim: 16 }),
  vary('partial and interleaved', { rotaryDim: 24, D: 40, interleaved: true }),
  vary('odd pairs', { D: 50, rotaryDim: 50 }),
  vary('attention factor', { attentionFactor: 1.4 }),
  vary('one token, one position', { N: 1, H: 1, maxPositions: 1 }),
  vary('an odd number of positions', { N: 70, maxPositions: 5003 }),
  vary('a million positions', { N: 40, base: 1e6, maxPositions: 1_048_576 }),
]

/** x [N, H, D], positions [N] (the first and the last possible among them) and frequencies; `random` gives −1 … 1. */
export function ropeInputs({ N, H, D, rotaryDim, base, maxPositions }: RopeCase, random: () => number) {
  return {
    x: Float64Array.from({ length: N * H * D }, () => Math.fround(random())),
    positions: Array.from({ length: N }, (_, n) =>
      n === 0 ? maxPositions - 1 : n === 1 ? 0 : Math.floor(Math.abs(random()) * maxPositions),
    ),
    inverseFrequencies: Array.from({ length: rotaryDim / 2 }, (_, i) => base ** ((-2 * i) / rotaryDim)),
  }
}

/** Bytes that a call must read and write, at `width` bytes an element. */
export function ropeBytes({ N, H, D }: RopeCase, width: number): number {
  return width * 2 * N * H * D
}
