import type { Program } from '../../src/tile/index.ts'
import type { WgslTuning } from '../../src/wgsl/lower-program.ts'
import type { TensorData } from './kernel-runner.ts'

/** A program with its arguments: every output buffer must end up as the interpreter leaves it. */
export interface Trial {
  readonly name: string
  readonly program: Program
  readonly tensors: Readonly<Record<string, TensorData>>
  readonly scalars: Readonly<Record<string, number>>
  readonly grid: readonly [number, number, number]
  readonly tuning: WgslTuning
  /** of the largest value of the output */
  readonly tolerance: number
}

export const filled = (n: number, value = Number.NaN) => Array.from({ length: n }, () => value)
export const defaults = { scalars: {}, grid: [1, 1, 1] as const, tuning: {}, tolerance: 2e-6 }
