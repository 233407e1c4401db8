import type { Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, type Value } from '../../tile/index.ts'
import { matrixOf } from './matrices.ts'
import { nesterovMomentum } from './nesterov-momentum.ts'
import type { Optimizer } from './optimizer.ts'
import { madeOnce, segmentsOf } from './segments.ts'
import { sumScratch, updateSegments } from './update-segments.ts'

export interface AuonOptions {
  /** 0.95 */
  readonly momentum?: number
  /** look ahead along the momentum (true) */
  readonly nesterov?: boolean
}

/**
 * AuON: Maity 2025, "AuON: A Linear-time Alternative to Semi-Orthogonal Momentum Updates", arXiv 2509.24320v1, for matrices
 * [M, N] only. The momentum is made a matrix of norm 1 and divided by the root of the mean square of its hyperbolic cosine;
 * nothing is made orthogonal. Weight decay is decoupled.
 *
 *     b = μ b + (1 − μ) g,  ĝ = nesterov ? μ b + (1 − μ) g : b
 *     x = ĝ / (‖ĝ‖ + 1e-7)
 *     w = w (1 − learningRate · weightDecay) − learningRate · √max(1, M / N) · x / (√mean(cosh² x) + 1e-8)
 *
 * The momentum is that of the author's program (Muon's); the paper writes β for 1 − μ. Later versions of the paper and the
 * program leave ‖ĝ‖ out of the last line, which makes the update as long as the gradient; this is the first, as the name has it
 * ("unit-norm"). ĝ takes the place of the gradients. Throws `shape` for parameters that are not matrices.
 */
export function auon(options: AuonOptions = {}): Optimizer {
  checkFields('auon', 'options', options, fields)
  const { momentum = 0.95, nesterov = true } = options
  const tables = madeOnce((device, { parameters }) => {
    const shapes = parameters.map((parameter) => matrixOf('auon', parameter))
    const perSegment = (of: (rows: number, cols: number) => number) =>
      device.tensor(
        shapes.map(([rows, cols]) => of(rows, cols)),
        [shapes.length],
      )
    return {
      segments: segmentsOf(device, parameters),
      size: perSegment((rows, cols) => rows * cols),
      stretch: perSegment((rows, cols) => Math.sqrt(Math.max(1, rows / cols))),
    }
  })
  const unit = (values: Readonly<Record<string, Value>>, of: Value) => of.div((values.square as Value).sqrt().add(1e-7))
  return {
    name: 'auon',
    states: ['momentum'],
    scratch: ({ parameters }) => sumScratch(parameters, ['square', 'meanCosh']),
    enqueue(device, group, { states, scratch, step }) {
      const { gradient, weight, compute, weightDecay, learningRateFactor } = group
      const { segments, size, stretch } = tables(device, group)
      const { square, meanCosh } = scratch as { readonly square: Tensor; readonly meanCosh: Tensor }
      nesterovMomentum(device, segments, { gradient, states, scratch, step }, { momentum, nesterov })
      updateSegments(
        device,
        'auon-cosh',
        segments,
        { read: { gradient }, ofSegment: { square, size }, sums: ['meanCosh'], scratch, step },
        (values) => {
          const x = unit(values, values.gradient as Value)
          const cosh = x.exp().add(x.neg().exp()).mul(0.5)
          return { meanCosh: cosh.mul(cosh).div(values.size as Value) }
        },
      )
      updateSegments(
        device,
        'auon-apply',
        segments,
        {
          read: { gradient },
          update: { weight },
          ...(compute && { write: { compute } }),
          ofSegment: { square, meanCosh, stretch },
          scalars: { weightDecay, learningRateFactor },
          step,
        },
        (values, now, scalars) => {
          const rate = now.learningRate.mul(scalars.learningRateFactor as Value)
          const root = (values.meanCosh as Value).sqrt().add(1e-8)
          const factor = rate.mul(values.stretch as Value).div(root)
          const decayed = (values.weight as Value).mul(
            rate
              .mul(scalars.weightDecay as Value)
              .neg()
              .add(1),
          )
          const next = decayed.sub(unit(values, values.gradient as Value).mul(factor))
          return { weight: next, compute: next }
        },
      )
    },
  }
}

const fields: FieldsOf<AuonOptions> = { momentum: true, nesterov: true }
