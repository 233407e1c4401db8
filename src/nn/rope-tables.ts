import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'

/** How the rotary tables of `ropeTables` lie, known from the number of positions alone: it specialises programs. */
export interface RopeLayout {
  /** pairs of elements that turn: rotaryDim / 2 */
  readonly pairs: number
  /** fine rows, a power of two: position = coarse · step + fine */
  readonly step: number
  /** rows of fine and coarse together */
  readonly rows: number
}

/** Rotary tables on the host; upload `data` as f32 [rows, 2 · pairs]. */
export interface RopeTables extends RopeLayout {
  /** row f < step: cos and sin of f · inverseFrequencies; row step + c: those of c · step · inverseFrequencies, times the factor */
  readonly data: Float32Array
}

/** What of a model's rotary positions the tables are made from; a `RopeSpec` of a decoder is one. */
export interface RopeFrequencies {
  readonly rotaryDim: number
  /** radians per position, rotaryDim / 2 of them */
  readonly inverseFrequencies: readonly number[]
  /** factor of both cos and sin */
  readonly attentionFactor: number
}

/**
 * Tables of cos and sin from which `loadRope` joins those of any position below `maxPositions`, by the formulas of the sum
 * of two angles: about 2√maxPositions rows instead of maxPositions. Angles are formed and reduced in float64, where that of
 * a position in the millions still has ten digits; what is joined from f32 tables is right to 2e-7 of the factor.
 *
 * Throws `argument` for a rotaryDim that is odd or not twice the number of frequencies, frequencies and factors that are
 * not finite, and positions that are no count from 1 to 2³¹ − 1.
 */
export function ropeTables(spec: RopeFrequencies, maxPositions: number): RopeTables {
  checkFields('ropeTables', 'spec', spec, fields)
  const { rotaryDim, inverseFrequencies, attentionFactor } = spec
  const layout = ropeLayout(rotaryDim, maxPositions)
  const { pairs, step, rows } = layout
  if (inverseFrequencies.length !== pairs)
    throw new FoveaError(
      'argument',
      'ropeTables',
      `rotaryDim ${rotaryDim} takes ${pairs} inverseFrequencies, got ${inverseFrequencies.length}`,
    )
  for (const [i, frequency] of inverseFrequencies.entries())
    if (!Number.isFinite(frequency))
      throw new FoveaError('argument', 'ropeTables', `inverseFrequencies[${i}] must be finite, got ${frequency}`)
  if (!Number.isFinite(attentionFactor))
    throw new FoveaError('argument', 'ropeTables', `attentionFactor must be finite, got ${attentionFactor}`)
  const data = new Float32Array(rows * 2 * pairs)
  for (let row = 0; row < rows; row++) {
    const [position, factor] = row < step ? [row, 1] : [(row - step) * step, attentionFactor]
    for (let i = 0; i < pairs; i++) {
      const angle = position * (inverseFrequencies[i] as number)
      data[row * 2 * pairs + i] = Math.cos(angle) * factor
      data[(row * 2 + 1) * pairs + i] = Math.sin(angle) * factor
    }
  }
  return { ...layout, data }
}

/** How the tables of so many rotated elements and positions lie. Throws `argument`. */
export function ropeLayout(rotaryDim: number, maxPositions: number): RopeLayout {
  if (!Number.isInteger(rotaryDim) || rotaryDim < 2 || rotaryDim % 2 !== 0)
    throw new FoveaError('argument', 'ropeTables', `rotaryDim must be even and at least 2, got ${rotaryDim}`)
  if (!Number.isInteger(maxPositions) || maxPositions < 1 || maxPositions > 2 ** 31 - 1)
    throw new FoveaError('argument', 'ropeTables', `maxPositions must be 1 to 2³¹ − 1, got ${maxPositions}`)
  const step = 2 ** Math.round(Math.log2(maxPositions) / 2)
  return { pairs: rotaryDim / 2, step, rows: step + Math.ceil(maxPositions / step) }
}

/** Bytes of the tables on a device. Throws `argument`. */
export function ropeTableBytes(rotaryDim: number, maxPositions: number): number {
  const { pairs, rows } = ropeLayout(rotaryDim, maxPositions)
  return rows * 2 * pairs * 4
}

const fields: FieldsOf<RopeFrequencies> = { rotaryDim: true, inverseFrequencies: true, attentionFactor: true }
