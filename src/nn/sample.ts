import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, type Kernel, type TensorSpec } from '../tile/index.ts'
import { mostTokens, rowStatisticsProgram, statisticsHeight } from './sampling/row-statistics.ts'
import { type SampleTiles, sampleProgram } from './sampling/sample-program.ts'
import { settingsWidth } from './sampling/sampling-settings.ts'

export interface SampleOptions {
  readonly logits: Tensor // [S, V], f32, f16 or bf16
  /** `settingsRow` of each row: f32 [S, 8] */
  readonly settings: Tensor
  /** seed and number of the step, of each row: u32 [S, 2] */
  readonly seeds: Tensor
  /** occurrences of tokens by slot, i32 [slots, V] (see `countTokens`), and each row's slot, i32 [S]; without, nothing is penalised */
  readonly seen?: { readonly counts: Tensor; readonly slots: Tensor }
  /** logits count as c · tanh(logit / c) (none); an epilogue of the product that made them costs less */
  readonly softCap?: number | null
  readonly output: { readonly ids: Tensor; readonly logprobs: Tensor } // i32 [S], f32 [S]
  /** place for what is found out about parts of long rows: f32 [S, 4, `sampleChunks`]; without, one workgroup reads all of a row */
  readonly statistics?: Tensor
  /** how rows are read; what suits the device by default */
  readonly tiles?: SampleTiles
}

/**
 * Chooses a token for each row of logits:
 *
 *     score = penalised(softCap(logit))      penalties for what `seen` counts: repetition, then presence, then frequency
 *     weight = exp((score − highest score) / temperature)
 *     kept: fewer than topK scores are higher; then, of these, the weight of the higher ones is less than topP of it all;
 *           then weight ≥ minP
 *     token: drawn from the kept ones in proportion to their weight; at temperature 0 the highest score, the first of equals
 *
 * Equal scores are kept or left out together, so more than topK may be kept. The draw is a race: token v wins with the
 * highest weight / E[v], E[v] an exponential number made from (seed, counter, v) by a hash. It depends on nothing else:
 * equal seeds and counters repeat it, whatever the other rows are. `logprobs` is the logarithm of the chosen token's
 * probability in softmax(softCap(logits)), before penalties, temperature and filters, as `tokenLogLikelihood` gives it.
 *
 * Logits of −∞ are tokens that cannot be. A row that has a NaN, +∞, or nothing but −∞ gives id −1 and logprob NaN. A slot
 * outside the counts has seen nothing.
 *
 * Throws `shape`, `dtype`, `argument` (a soft cap that is not above 0), and what `Device.run` throws.
 */
export function sample(device: Device, options: SampleOptions): void {
  checkFields('sample', 'options', options, sampleFields)
  const { logits, settings, seeds, seen, statistics, output } = options
  checkFields('sample', 'output', output, outputFields)
  if (seen) checkFields('sample', 'seen', seen, seenFields)
  const row = {
    logits,
    settings,
    ...(seen && { seen: seen.counts, slots: seen.slots }),
    ...(statistics && { statistics }),
  }
  const kernels = sampleKernels(device.kind, options)
  if (kernels.statistics) device.run(kernels.statistics, row)
  device.run(kernels.choice, { ...row, seeds, ids: output.ids, logprobs: output.logprobs })
}

/**
 * Parts of rows of V logits that programs of their own look through, where `sample` is given the place for their `statistics`;
 * 0 where one program does as well.
 */
export function sampleChunks(kind: Device['kind'], V: number): number {
  const { chunkV } = sampleTiles(kind, V)
  return chunkV === null ? 0 : Math.ceil(V / chunkV)
}

/** A `SampleOptions` without its data. */
export interface SampleSpec {
  readonly logits: TensorSpec
  readonly settings: TensorSpec
  readonly seeds: TensorSpec
  readonly seen?: { readonly counts: TensorSpec; readonly slots: TensorSpec }
  readonly softCap?: number | null
  readonly output: { readonly ids: TensorSpec; readonly logprobs: TensorSpec }
  readonly statistics?: TensorSpec
  readonly tiles?: SampleTiles
}

/** The kernels of `sample`: what finds out about parts of rows, if anything does, and what chooses. Throws `shape`, `dtype` and `argument`. */
export function sampleKernels(
  kind: Device['kind'],
  spec: SampleSpec,
): { readonly statistics: Kernel | null; readonly choice: Kernel } {
  checkFields('sampleKernels', 'spec', spec, sampleSpecFields)
  const { logits, settings, seeds, seen, statistics, output } = spec
  const [S = 0, V = 0] = logits.shape
  const all = {
    logits,
    settings,
    seeds,
    ...(seen && { counts: seen.counts, slots: seen.slots }),
    ...(statistics && { statistics }),
    ...output,
  }
  const fail = (code: 'shape' | 'dtype', what: string) => {
    const got = Object.entries(all).map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`)
    return new FoveaError(code, 'sample', `${what}, got ${got.join(', ')}`)
  }
  const is = ({ shape }: TensorSpec, ...sizes: number[]) => shape.join() === sizes.join()
  if (logits.shape.length !== 2 || V === 0) throw fail('shape', 'logits must be [S, V] with V ≥ 1')
  if (!is(settings, S, settingsWidth)) throw fail('shape', `settings must be [${S}, ${settingsWidth}]`)
  if (!is(seeds, S, 2)) throw fail('shape', `seeds must be [${S}, 2]`)
  if (!is(output.ids, S) || !is(output.logprobs, S)) throw fail('shape', `ids and logprobs must be [${S}]`)
  if (seen && (seen.counts.shape.length !== 2 || seen.counts.shape[1] !== V || !is(seen.slots, S)))
    throw fail('shape', `counts must be [slots, ${V}] and slots [${S}]`)
  const tiles = spec.tiles ?? sampleTiles(kind, V)
  const chunks = statistics && tiles.chunkV ? Math.ceil(V / tiles.chunkV) : 0
  if (statistics && !is(statistics, S, statisticsHeight, chunks))
    throw fail('shape', `statistics must be [${S}, ${statisticsHeight}, ${chunks}]`)
  if (!['f32', 'f16', 'bf16'].includes(logits.dtype)) throw fail('dtype', 'logits must be f32, f16 or bf16')
  if ([settings, output.logprobs, ...(statistics ? [statistics] : [])].some(({ dtype }) => dtype !== 'f32'))
    throw fail('dtype', 'settings, logprobs and statistics must be f32')
  if (seeds.dtype !== 'u32') throw fail('dtype', 'seeds must be u32')
  if (output.ids.dtype !== 'i32' || (seen && (seen.counts.dtype !== 'i32' || seen.slots.dtype !== 'i32')))
    throw fail('dtype', 'ids, counts and slots must be i32')
  const cap = spec.softCap ?? null
  if (cap !== null && !(cap > 0)) throw new FoveaError('argument', 'sample', `softCap must be above 0, got ${cap}`)
  const row = { logits, seen: seen?.counts ?? null, softCap: cap }
  return {
    statistics:
      chunks > 0
        ? { program: rowStatisticsProgram(row, tiles.chunkV as number), grid: [chunks, S, 1], scalars: {} }
        : null,
    choice: { program: sampleProgram({ ...row, ...tiles, chunks }), grid: [S, 1, 1], scalars: {} },
  }
}

/**
 * How a row of V is read. In the memory of a worker there is place for a whole row of scores and weights, which are then
 * computed once for all passes; in registers of a workgroup for 8,192, where passes are short and need few guesses. Longer
 * rows would wait for one workgroup's reads: up to 256 look at a part each first.
 */
function sampleTiles(kind: Device['kind'], V: number): SampleTiles {
  const row = Math.ceil(V / 4) * 4
  if (kind !== 'webgpu')
    return { tileV: Math.min(512, row), drawV: Math.min(2 ** 18, row), chunkV: null, whole: V <= 2 ** 18, probes: 1 }
  const whole = V <= 8192
  const chunkV = whole || V > mostTokens ? null : 1024 * Math.ceil(V / (1024 * 256))
  return { tileV: Math.min(4096, row), drawV: whole ? row : 2048, chunkV, whole, probes: whole ? 3 : 7 }
}

const sampleFields: FieldsOf<SampleOptions> = {
  logits: true,
  settings: true,
  seeds: true,
  seen: true,
  softCap: true,
  output: true,
  statistics: true,
  tiles: true,
}

const sampleSpecFields: FieldsOf<SampleSpec> = {
  logits: true,
  settings: true,
  seeds: true,
  seen: true,
  softCap: true,
  output: true,
  statistics: true,
  tiles: true,
}

const outputFields: FieldsOf<SampleOptions['output']> = { ids: true, logprobs: true }
const seenFields: FieldsOf<NonNullable<SampleOptions['seen']>> = { counts: true, slots: true }
