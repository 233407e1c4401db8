import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  type Kernel,
  load,
  loop,
  type Program,
  select,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
} from '../tile/index.ts'
import { softCap } from './activations.ts'
import { emptySum, joinSum } from './running-sum.ts'

/** Everything of a log-likelihood but the data; sizes are run-time values. */
export interface TokenLogLikelihoodSpec {
  readonly logits: TensorSpec // [N, V]
  readonly targets: TensorSpec // i32 [N]
  readonly output: TensorSpec // f32 [N]
  readonly softCap: number | null
  readonly tileV: number
}

export interface TokenLogLikelihoodOptions {
  readonly logits: Tensor
  readonly targets: Tensor
  /** logits count as c · tanh(logit / c) (none) */
  readonly softCap?: number | null
  readonly output: Tensor
}

/**
 * Log-probability of each row's target: output[n] = x[n, target] − log Σ_v exp(x[n, v]) with x = logits, or their soft cap;
 * 0 for a target outside 0 … V − 1 (−1 is the one to use). `logits` are [N, V] of f32, f16 or bf16, `targets` i32 [N],
 * `output` f32 [N], which is returned. Logits of −∞ are tokens that cannot be; a row with a NaN, +∞ or nothing but −∞ gives NaN.
 *
 * Throws `shape`, `dtype`, `argument` (a soft cap that is not above 0), and what `Device.run` throws.
 */
export function tokenLogLikelihood(device: Device, options: TokenLogLikelihoodOptions): Tensor {
  checkFields('tokenLogLikelihood', 'options', options, tokenLogLikelihoodFields)
  const { logits, targets, output } = options
  const kernel = tokenLogLikelihoodKernel({
    logits,
    targets,
    output,
    softCap: options.softCap ?? null,
    tileV: device.kind === 'interpret' ? 256 : 2048,
  })
  device.run(kernel, { logits, targets, output })
  return output
}

/** The kernel of `tokenLogLikelihood`. Throws `shape`, `dtype` and `argument`. */
export function tokenLogLikelihoodKernel(spec: TokenLogLikelihoodSpec): Kernel {
  checkFields('tokenLogLikelihoodKernel', 'spec', spec, tokenLogLikelihoodSpecFields)
  const { logits, targets, output } = spec
  const fail = (code: 'shape' | 'dtype', what: string) => {
    const got = Object.entries({ logits, targets, output }).map(
      ([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`,
    )
    return new FoveaError(code, 'tokenLogLikelihood', `${what}, got ${got.join(', ')}`)
  }
  const [N = 0, V = 0] = logits.shape
  if (logits.shape.length !== 2 || V === 0) throw fail('shape', 'logits must be [N, V] with V ≥ 1')
  if (targets.shape.join() !== `${N}` || output.shape.join() !== `${N}`)
    throw fail('shape', `targets and output must be [${N}]`)
  if (!['f32', 'f16', 'bf16'].includes(logits.dtype) || targets.dtype !== 'i32' || output.dtype !== 'f32')
    throw fail('dtype', 'logits must be f32, f16 or bf16, targets i32, output f32')
  if (spec.softCap !== null && !(spec.softCap > 0))
    throw new FoveaError('argument', 'tokenLogLikelihood', `softCap must be above 0, got ${spec.softCap}`)
  return { program: tokenLogLikelihoodProgram(spec), grid: [N, 1, 1], scalars: {} }
}

/** One program owns a row and streams over it once, sums rescaled where the maximum grows. Traffic: the logits. */
function tokenLogLikelihoodProgram(spec: TokenLogLikelihoodSpec): Program {
  const { tileV } = spec
  const capped = spec.softCap === null ? (x: Value) => x : softCap(spec.softCap)
  return defineProgram('token-log-likelihood', (p) => {
    const logits = p.input('logits', spec.logits.dtype, [null, null], { alignment: alignmentOf(spec.logits) })
    const targets = p.input('targets', 'i32', [null])
    const output = p.output('output', 'f32', [null])
    const row = p.programId(0)
    const width = sizeOf(logits, 1)
    const { m, l } = loop({ to: width, step: tileV }, emptySum(tileV), (from, sum) => {
      const v = colRange(from, tileV) //                                     [1, tileV]
      const x = select(v.lt(width), capped(load(logits, [row, v]).cast('f32')), Number.NEGATIVE_INFINITY)
      return joinSum(sum, x)
    })
    const target = load(targets, [row])
    const score = capped(load(logits, [row, target]).cast('f32'))
    const likelihood = score.sub(m).sub(l.rowSum().log())
    p.emit(store(output, [row], target.ge(0).and(target.lt(width)).select(likelihood, 0)))
  })
}

const tokenLogLikelihoodFields: FieldsOf<TokenLogLikelihoodOptions> = {
  logits: true,
  targets: true,
  softCap: true,
  output: true,
}

const tokenLogLikelihoodSpecFields: FieldsOf<TokenLogLikelihoodSpec> = {
  logits: true,
  targets: true,
  output: true,
  softCap: true,
  tileV: true,
}
