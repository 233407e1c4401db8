import type { MatmulTiles } from './matmul-tiles.ts'

export interface MatmulCase {
  readonly name: string
  /** null: matrices without a batch dimension */
  readonly batch: number | null
  readonly M: number
  readonly N: number
  readonly K: number
  readonly transposeA: boolean
  readonly transposeB: boolean
  readonly bias: boolean
  readonly alpha: number
  readonly activation: 'gelu' | 'geluTanh' | 'silu' | 'relu' | null
  /** only `a` has the batch: b is shared */
  readonly sharedB: boolean
  readonly tiles: MatmulTiles | null
}

const plain: MatmulCase = {
  name: '',
  batch: null,
  M: 64,
  N: 64,
  K: 64,
  transposeA: false,
  transposeB: false,
  bias: false,
  alpha: 1,
  activation: null,
  sharedB: false,
  tiles: null,
}
const vary = (name: string, change: Partial<MatmulCase>): MatmulCase => ({ ...plain, ...change, name })

/** Chosen to expose: edges in each of the three sizes, every layout of the operands, each part of the epilogue. */
export const matmulCases: readonly MatmulCase[] = [
  vary('whole tiles', {}),
  vary('one by one', { M: 1, N: 1, K: 1 }),
  vary('odd sizes', { M: 67, N: 70, K: 75 }),
  vary('odd, a transposed', { M: 67, N: 70, K: 75, transposeA: true }),
  vary('odd, b transposed', { M: 67, N: 70, K: 75, transposeB: true }),
  vary('odd, both transposed', { M: 67, N: 70, K: 75, transposeA: true, transposeB: true }),
  vary('one row', { M: 1, N: 130, K: 200, transposeB: true }),
  vary('one column', { M: 130, N: 1, K: 33 }),
  vary('deep', { M: 20, N: 24, K: 1000 }),
  vary('batched', { batch: 3, M: 17, N: 33, K: 40, bias: true }),
  vary('batched, b shared', { batch: 3, M: 17, N: 33, K: 40, sharedB: true, alpha: -0.5 }),
  vary('bias and gelu', { M: 33, N: 65, K: 48, bias: true, activation: 'gelu' }),
  vary('bias and gelu by tanh', { M: 33, N: 65, K: 48, bias: true, activation: 'geluTanh', alpha: 0.25 }),
  vary('silu', { M: 33, N: 65, K: 48, activation: 'silu', transposeB: true }),
  vary('relu', { M: 16, N: 32, K: 32, activation: 'relu' }),
  vary('nothing to sum', { M: 5, N: 6, K: 0, bias: true }),
  vary('other tiles', { M: 100, N: 90, K: 80, tiles: { tileM: 32, tileN: 16, tileK: 48 } }),
]

/** a, b and bias of a case in row-major order as they are stored; `random` gives numbers in −1 … 1. */
export function matmulInputs(of: MatmulCase, random: () => number) {
  const draw = (n: number) => Float64Array.from({ length: n }, () => Math.fround(random()))
  const batch = of.batch ?? 1
  return {
    a: draw(batch * of.M * of.K),
    b: draw((of.sharedB ? 1 : batch) * of.K * of.N),
    bias: of.bias ? draw(of.N) : null,
  }
}

export function matmulFlops({ batch, M, N, K }: MatmulCase): number {
  return 2 * (batch ?? 1) * M * N * K
}

/** Bytes that a product must read and write, at `width` bytes an element. */
export function matmulBytes({ batch, M, N, K, bias, sharedB }: MatmulCase, width: number): number {
  const count = batch ?? 1
  return width * (count * (M * K + M * N) + (sharedB ? 1 : count) * K * N + (bias ? N : 0))
}
