import {
  alignmentOf,
  colRange,
  defineProgram,
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
  zeros,
} from '../tile/index.ts'
import { activationGradient } from './activation-gradient.ts'
import { softCap } from './activations.ts'
import { emptySum, joinSum } from './running-sum.ts'

/** Everything of the loss of a chunk of tokens but the data; sizes are run-time values. */
export interface LogitsGradientSpec {
  readonly logits: TensorSpec // [N, V]
  readonly targets: TensorSpec // i32 [N]
  readonly losses: TensorSpec // f32 [N]
  readonly lse: TensorSpec // f32 [N]
  readonly correct: TensorSpec | null // i32 [N]
  /** where the gradient goes: in place of the logits, to a tensor [N, V] of its own, or nowhere */
  readonly gradient: 'in place' | 'none' | TensorSpec
  readonly softCap: number | null
  readonly tileV: number
}

/**
 * The kernel between the products of `crossEntropy`, row by row, with x = logits, or their soft cap:
 *
 *     lse = log Σ_v exp(x[v])        loss = lse − x[target]        dLogits[v] = factor · (exp(x[v] − lse) − [v = target]) · dx/dlogit
 *
 * A row whose target lies outside 0 … V − 1 has loss 0 and zeros as gradient. `correct` is 1 where the target's logit is above all others.
 * One program owns a row: it streams over it once for the sums, rescaled where the maximum grows, and once for the gradient.
 * Traffic: the logits twice, their gradient once. Throws `argument` (a soft cap that is not above 0).
 */
export function logitsGradientKernel(spec: LogitsGradientSpec): Kernel {
  if (spec.softCap !== null && !(spec.softCap > 0))
    throw new FoveaError('argument', 'crossEntropy', `softCap must be above 0, got ${spec.softCap}`)
  return { program: logitsGradientProgram(spec), grid: [spec.logits.shape[0] as number, 1, 1], scalars: {} }
}

function logitsGradientProgram(spec: LogitsGradientSpec): Program {
  const { gradient, tileV } = spec
  const cap = spec.softCap === null ? null : softCap(spec.softCap)
  return defineProgram('logits-gradient', (p) => {
    const layout = { alignment: alignmentOf(spec.logits) }
    const declare = gradient === 'in place' ? p.update : p.input
    const logits = declare('logits', spec.logits.dtype, [null, null], layout)
    const targets = p.input('targets', 'i32', [null])
    const losses = p.output('losses', 'f32', [null])
    const lseOut = p.output('lse', 'f32', [null])
    const correct = spec.correct && p.output('correct', 'i32', [null])
    const row = p.programId(0)
    const width = sizeOf(logits, 1)
    const target = load(targets, [row])
    const counts = target.ge(0).and(target.lt(width))
    const columns = { to: width, step: tileV }
    const part = (v: Value) => load(logits, [row, v]).cast('f32') //             [1, tileV]

    const asked = load(logits, [row, target]).cast('f32')
    const score = cap ? cap(asked) : asked
    const init = { ...emptySum(tileV), rivals: zeros([1, tileV]) }
    const { m, l, rivals } = loop(columns, init, (from, { rivals, ...sum }) => {
      const v = colRange(from, tileV) //                                         [1, tileV]
      const logit = part(v)
      const x = select(v.lt(width), cap ? cap(logit) : logit, Number.NEGATIVE_INFINITY)
      return {
        ...joinSum(sum, x),
        rivals: correct ? rivals.add(x.ge(score).and(v.ne(target)).cast('f32')) : rivals,
      }
    })
    const lse = m.add(l.rowSum().log())
    p.emit(store(losses, [row], counts.select(lse.sub(score), 0)))
    p.emit(store(lseOut, [row], lse))
    if (correct) p.emit(store(correct, [row], counts.and(score.ge(m)).and(rivals.rowSum().eq(0)).cast('i32')))
    if (gradient === 'none') return

    const factor = counts.select(load(p.input('factor', 'f32', [1]), [0]), 0)
    const to =
      gradient === 'in place'
        ? logits
        : p.output('gradient', gradient.dtype, [null, null], { alignment: alignmentOf(gradient) })
    loop(
      columns,
      {},
      (from, _, emit) => {
        const v = colRange(from, tileV) //                                       [1, tileV]
        const logit = part(v)
        const x = cap ? cap(logit) : logit
        const dX = x.sub(lse).exp().sub(v.eq(target).cast('f32')).mul(factor)
        emit(store(to, [row, v], cap ? activationGradient(cap, logit, dX).dX : dX))
        return {}
      },
      p.emit,
    )
  })
}
