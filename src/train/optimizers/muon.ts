import type { Tensor } from '../../device/device.ts'
import { checkChoice, checkFields, type FieldsOf, type Value } from '../../tile/index.ts'
import type { Parameter } from '../parameters.ts'
import { matrixBatches, matrixOf } from './matrices.ts'
import { nesterovMomentum } from './nesterov-momentum.ts'
import { newtonSchulz, type QuinticCoefficients } from './newton-schulz.ts'
import type { Optimizer } from './optimizer.ts'
import { elementsOf, madeOnce, segmentsOf } from './segments.ts'
import { sumScratch, updateSegments } from './update-segments.ts'

export interface MuonOptions {
  /** 0.95 */
  readonly momentum?: number
  /** look ahead along the momentum (true) */
  readonly nesterov?: boolean
  /** of the Newton–Schulz iteration (5) */
  readonly steps?: number
  readonly coefficients?: QuinticCoefficients
  /**
   * what the iteration is computed in (f32); f16 with sums in f32 is many times faster where a GPU multiplies it in subgroup
   * matrices, and finer than the bfloat16 of torch.optim.Muon
   */
  readonly precision?: 'f32' | 'f16'
  /** least norm that a momentum is divided by (1e-7) */
  readonly eps?: number
  /**
   * factor of the learning rate (not of the decay): `original` √max(1, M / N), `match-rms` 0.2 √max(M, N), which gives updates
   * the size of AdamW's, so that its learning rate and decay can be kept (Liu et al. 2025, arXiv 2502.16982)
   */
  readonly adjust?: 'original' | 'match-rms'
}

/**
 * Muon: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks" (kellerjordan.github.io/posts/muon), in
 * the form of torch.optim.Muon, for matrices [M, N] only: embeddings, output projections, norms and biases take another.
 *
 *     b = μ b + (1 − μ) g,  ĝ = nesterov ? μ b + (1 − μ) g : b
 *     o = NewtonSchulz(ĝ / max(‖ĝ‖, eps))    (≈ U Vᵀ of ĝ = U S Vᵀ)
 *     w = w (1 − learningRate · weightDecay) − learningRate · adjust(M, N) · o
 *
 * Matrices of one shape are computed together. ĝ takes the place of the gradients. Throws `shape` for
 * parameters that are not matrices.
 */
export function muon(options: MuonOptions = {}): Optimizer {
  checkFields('muon', 'options', options, fields)
  const { momentum = 0.95, nesterov = true, steps = 5, eps = 1e-7, adjust = 'original', precision = 'f32' } = options
  checkChoice('muon', 'adjust', adjust, ['original', 'match-rms'])
  checkChoice('muon', 'precision', precision, ['f32', 'f16'])
  const coefficients = options.coefficients ?? [3.4445, -4.775, 2.0315]
  const batches = madeOnce((device, { parameters }) =>
    matrixBatches('muon', parameters).map((matrices) => {
      const [rows, cols] = matrixOf('muon', matrices[0] as (typeof matrices)[0])
      const factor = adjust === 'original' ? Math.sqrt(Math.max(1, rows / cols)) : 0.2 * Math.sqrt(Math.max(rows, cols))
      return { segments: segmentsOf(device, matrices), rows, cols, factor }
    }),
  )
  return {
    name: 'muon',
    states: ['momentum'],
    scratch({ parameters }) {
      const all = matrixBatches('muon', parameters)
      const largest = (sizeOf: (matrices: typeof parameters) => number) => Math.max(0, ...all.map(sizeOf))
      const elements = (of: (parameter: Parameter) => number) => ({
        shape: [largest((batch) => batch.reduce((sum, parameter) => sum + of(parameter), 0))],
        dtype: precision,
      })
      const [matrices, grams] = [elements(elementsOf), elements(({ shape }) => Math.min(...shape) ** 2)]
      const sums = Object.keys(sumScratch([], ['square'])).map((name) => [
        name,
        { shape: [largest((batch) => sumScratch(batch, ['square'])[name]?.shape[0] ?? 0)] },
      ])
      return { ...Object.fromEntries(sums), x: matrices, other: matrices, gram: grams, power: grams }
    },
    enqueue(device, group, { states, scratch, step }) {
      const { gradient, weight, compute, weightDecay, learningRateFactor } = group
      for (const { segments, rows, cols, factor } of batches(device, group)) {
        const { count } = segments
        const viewOf = (name: string, shape: readonly number[]) => (scratch[name] as Tensor).view({ shape })
        const k = Math.min(rows, cols)
        const x = viewOf('x', [count, rows, cols])
        const other = viewOf('other', [count, rows, cols])
        const [gram, power] = [viewOf('gram', [count, k, k]), viewOf('power', [count, k, k])]

        nesterovMomentum(device, segments, { gradient, states, scratch, step }, { momentum, nesterov })
        const flat = x.reshape([x.size])
        updateSegments(
          device,
          'muon-normalise',
          segments,
          {
            read: { gradient },
            packed: { write: { x: flat } },
            ofSegment: { square: scratch.square as Tensor },
            step,
          },
          ({ gradient: g, square }) => ({ x: (g as Value).div((square as Value).sqrt().max(eps)) }),
        )
        const direction = newtonSchulz(device, { x, other, gram, power }, { steps, coefficients })
        const flatDirection = direction.reshape([direction.size])
        updateSegments(
          device,
          'muon-apply',
          segments,
          {
            update: { weight },
            ...(compute && { write: { compute } }),
            packed: { read: { direction: flatDirection } },
            scalars: { weightDecay, learningRateFactor, factor },
            step,
          },
          (values, now, scalars) => {
            const rate = now.learningRate.mul(scalars.learningRateFactor as Value)
            const decayed = (values.weight as Value).mul(
              rate
                .mul(scalars.weightDecay as Value)
                .neg()
                .add(1),
            )
            const next = decayed.sub((values.direction as Value).cast('f32').mul(rate.mul(scalars.factor as Value)))
            return { weight: next, compute: next }
          },
        )
        for (const view of [x, other, gram, power, flat, flatDirection]) view.dispose()
      }
    },
  }
}

const fields: FieldsOf<MuonOptions> = {
  momentum: true,
  nesterov: true,
  steps: true,
  coefficients: true,
  precision: true,
  eps: true,
  adjust: true,
}
