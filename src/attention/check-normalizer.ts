import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { attention } from './attention.ts'
import { attentionBackward } from './attention-backward.ts'
import type { ScoreMod } from './hooks.ts'
import { causal } from './masks/causal.ts'
import type { Normalizer } from './normalizers/normalizer.ts'

/** A normalizer by its definition, in float64: the weights of one row of scores (masked ones left out) and the row's `lse`. */
export type NormalizerReference = (scores: readonly number[]) => { readonly p: readonly number[]; readonly lse: number }

export interface NormalizerCheckOptions {
  /** a score function to check with it, and the same on plain numbers (none) */
  readonly score?: {
    readonly scoreMod: ScoreMod
    readonly reference: (score: number, q: number, k: number) => number
  }
  /** the largest relative RMS error that passes (2e-5) */
  readonly tolerance?: number
  /** false: the forward alone (true) */
  readonly gradients?: boolean
}

/** The largest relative RMS errors that were found. */
export interface NormalizerErrors {
  readonly output: number
  readonly lse: number
  /** 0 where gradients were not asked for */
  readonly gradients: number
}

const fields: FieldsOf<NormalizerCheckOptions> = { score: true, tolerance: true, gradients: true }
const width = 4
/** queries and keys: less than a tile, several tiles that hang over, one query over keys that are split */
const shapes = [
  [3, 5],
  [37, 150],
  [1, 700],
] as const

/**
 * Holds a normalizer of one's own, and a score function with it, to its definition in float64: output, lse and, against finite
 * differences of the definition, the gradients of query, key and value; causal and not, in tiles and split along the keys.
 *
 *     await checkNormalizer(device, mine, (scores) => ({ p: …, lse: … }))
 *
 * Rejects with `argument` saying what is how far off, and with what `attention` and `attentionBackward` reject with.
 */
export async function checkNormalizer(
  device: Device,
  normalizer: Normalizer,
  reference: NormalizerReference,
  options: NormalizerCheckOptions = {},
): Promise<NormalizerErrors> {
  const where = 'checkNormalizer'
  checkFields(where, 'options', options, fields)
  const { score, tolerance = 2e-5, gradients = true } = options
  const worst = { output: 0, lse: 0, gradients: 0 }
  for (const [queries, keys] of shapes)
    for (const masked of [false, true]) {
      const inputs = { query: drawn(queries, 1), key: drawn(keys, 2), value: drawn(keys, 3) }
      const define = (given: typeof inputs) => byDefinition(given, { queries, keys, masked, reference, score })
      const expected = define(inputs)
      const made: Tensor[] = []
      const place = (data: Float64Array, rows: number): Tensor => {
        const tensor = device.tensor(Float32Array.from(data), [1, rows, 1, width])
        made.push(tensor)
        return tensor
      }
      const hold = (kind: keyof typeof worst, name: string, found: ArrayLike<number>, wanted: ArrayLike<number>) => {
        const error = relativeError(found, wanted)
        worst[kind] = Math.max(worst[kind], error)
        if (error <= tolerance) return
        const what = `${normalizer.name}: ${name} of ${queries} queries and ${keys} keys${masked ? ', causal' : ''}`
        throw new FoveaError(
          'argument',
          where,
          `${what} is off by ${error.toExponential(2)}, ${worstOf(found, wanted)}`,
        )
      }
      try {
        const [query, key, value] = [place(inputs.query, queries), place(inputs.key, keys), place(inputs.value, keys)]
        const request = {
          ...{ query, key, value, normalizer, scale: 1 },
          ...(masked && { maskMod: causal }),
          ...(score && { scoreMod: score.scoreMod }),
        }
        const { output, lse } = await attention(device, request)
        made.push(output, lse)
        hold('output', 'the output', await output.read(), expected.output)
        hold('lse', 'lse', await lse.read(), expected.lse)
        // finite differences ask the definition for every input
        if (!gradients || queries * keys > 100) continue
        const dOutput = drawn(queries, 4)
        const given = { ...request, output, lse, dOutput: place(dOutput, queries) }
        const { dQuery, dKey, dValue } = await attentionBackward(device, given)
        made.push(dQuery, dKey, dValue)
        const loss = (changed: typeof inputs) =>
          define(changed).output.reduce((sum, x, i) => sum + x * at(dOutput, i), 0)
        for (const [name, gradient] of [['query', dQuery] as const, ['key', dKey] as const, ['value', dValue] as const])
          hold('gradients', `the gradient of ${name}`, await gradient.read(), differences(inputs, name, loss))
      } finally {
        for (const tensor of made) tensor.dispose()
      }
    }
  return worst
}

const at = (numbers: ArrayLike<number>, i: number) => numbers[i] as number

/** Numbers of about one, the same ones each time, exact in f32. */
function drawn(rows: number, seed: number): Float64Array {
  return Float64Array.from({ length: rows * width }, (_, i) =>
    Math.fround(Math.sin((i + 1) * (seed + 0.7) * 1.3) * 1.2),
  )
}

type Inputs = Readonly<Record<'query' | 'key' | 'value', Float64Array>>

function byDefinition(
  { query, key, value }: Inputs,
  call: {
    readonly queries: number
    readonly keys: number
    readonly masked: boolean
    readonly reference: NormalizerReference
    readonly score: NormalizerCheckOptions['score']
  },
): { readonly output: Float64Array; readonly lse: Float64Array } {
  const { queries, keys, masked, reference, score } = call
  const [output, sums] = [new Float64Array(queries * width), new Float64Array(queries)]
  for (let q = 0; q < queries; q++) {
    const seen = masked ? Math.min(keys, q + 1) : keys
    const scores = Array.from({ length: seen }, (_, k) => {
      let product = 0
      for (let d = 0; d < width; d++) product += at(query, q * width + d) * at(key, k * width + d)
      return score ? score.reference(product, q, k) : product
    })
    const { p, lse } = reference(scores)
    sums[q] = lse
    for (let k = 0; k < seen; k++)
      for (let d = 0; d < width; d++) output[q * width + d]! += at(p, k) * at(value, k * width + d)
  }
  return { output, lse: sums }
}

function differences(inputs: Inputs, name: keyof Inputs, loss: (inputs: Inputs) => number): Float64Array {
  const step = 1e-5
  return inputs[name].map((x, i, all) => {
    const moved = (by: number) => loss({ ...inputs, [name]: all.with(i, x + by) })
    return (moved(step) - moved(-step)) / (2 * step)
  })
}

/** RMS of the differences over that of the expected numbers; infinite where one is finite and the other is not. */
function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [off, size] = [0, 0]
  for (let i = 0; i < wanted.length; i++) {
    if (Object.is(found[i], wanted[i])) continue
    off += (at(found, i) - at(wanted, i)) ** 2
  }
  for (let i = 0; i < wanted.length; i++) if (Number.isFinite(wanted[i])) size += at(wanted, i) ** 2
  if (Number.isNaN(off)) return Number.POSITIVE_INFINITY
  return off === 0 ? 0 : Math.sqrt(off / size)
}

function worstOf(found: ArrayLike<number>, wanted: ArrayLike<number>): string {
  let worst = 0
  const gap = (i: number) => {
    const distance = Math.abs(at(found, i) - at(wanted, i))
    return Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance
  }
  for (let i = 1; i < wanted.length; i++) if (gap(i) > gap(worst)) worst = i
  return `most at element ${worst}: ${at(found, worst)} where the reference has ${at(wanted, worst)}`
}
