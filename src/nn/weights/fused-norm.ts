import type { Tensor } from '../../device/device.ts'
import { alignmentOf, load, type ProgramBuilder, type TensorSpec, type Value } from '../../tile/index.ts'
import type { LinearWeight } from '../place-linear.ts'
import { fewRows } from './placed-format.ts'

/** An RMS normalisation of a linear layer's input, see `rmsNorm`. */
export interface FusedNorm {
  readonly weight: Tensor // f32 [K]
  readonly eps: number
  readonly offset: number
}

/**
 * Do `linear` and `gatedLinear` with this weight take a norm for so many rows of x? Few rows of weights in rows do, on WebGPU:
 * a kernel less there saves more than each program's sum of squares costs; in workers' memory it does not.
 */
export function fusesNorm({ layout }: Pick<LinearWeight, 'layout'>, rows: number): boolean {
  return layout === 'rows' && rows <= fewRows
}

/** What a program does about the norm of its input x: norm(x) · w = factor(Σ x²) · Σ weighed(x) w. */
export interface NormInProgram {
  weighed(x: Value, part: number, k: Value): Value
  /** 1 / √(mean of squares + eps) */
  factor(squares: Value): Value
}

/** Declares the parameters of a norm whose weight lies as [parts, inputs of a part], as x does. */
export function normInProgram(p: ProgramBuilder, spec: TensorSpec, inputs: Value, known: number | null): NormInProgram {
  const parts = spec.shape[0] as number
  const weight = p.input('norm', 'f32', [parts, known], { alignment: alignmentOf(spec) })
  const [eps, offset] = [p.scalar('eps', 'f32'), p.scalar('offset', 'f32')]
  return {
    weighed: (x, part, k) => x.mul(load(weight, [part, k]).add(offset)),
    factor: (squares) => squares.div(inputs.mul(parts)).add(eps).rsqrt(),
  }
}
