import type { Device, Tensor } from '../device/device.ts'
import { FoveaError, type Kernel, type TensorSpec } from '../tile/index.ts'
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
  const { logits, settings, seeds, seen, output } = options
  device.run(sampleKernel(device.kind, options), {
    logits,
    settings,
    seeds,
    ...(seen && { seen: seen.counts, slots: seen.slots }),
    ids: output.ids,
    logprobs: output.logprobs,
  })
}

/** A `SampleOptions` without its data. */
export interface SampleSpec {
  readonly logits: TensorSpec
  readonly settings: TensorSpec
  readonly seeds: TensorSpec
  readonly seen?: { readonly counts: TensorSpec; readonly slots: TensorSpec }
  readonly softCap?: number | null
  readonly output: { readonly ids: TensorSpec; readonly logprobs: TensorSpec }
  readonly tiles?: SampleTiles
}

/** The kernel of `sample`. Throws `shape`, `dtype` and `argument`. */
export function sampleKernel(kind: Device['kind'], spec: SampleSpec): Kernel {
  const { logits, settings, seeds, seen, output } = spec
  const [S = 0, V = 0] = logits.shape
  const all = { logits, settings, seeds, ...(seen && { counts: seen.counts, slots: seen.slots }), ...output }
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
  if (!['f32', 'f16', 'bf16'].includes(logits.dtype)) throw fail('dtype', 'logits must be f32, f16 or bf16')
  if (settings.dtype !== 'f32' || output.logprobs.dtype !== 'f32')
    throw fail('dtype', 'settings and logprobs must be f32')
  if (seeds.dtype !== 'u32') throw fail('dtype', 'seeds must be u32')
  if (output.ids.dtype !== 'i32' || (seen && (seen.counts.dtype !== 'i32' || seen.slots.dtype !== 'i32')))
    throw fail('dtype', 'ids, counts and slots must be i32')
  const cap = spec.softCap ?? null
  if (cap !== null && !(cap > 0)) throw new FoveaError('argument', 'sample', `softCap must be above 0, got ${cap}`)
  const tiles = spec.tiles ?? sampleTiles(kind, V)
  const program = sampleProgram({ logits, seen: seen?.counts ?? null, softCap: cap, ...tiles })
  return { program, grid: [S, 1, 1], scalars: {} }
}

/**
 * How a row of V is read. In the memory of a worker there is place for a whole row of scores and weights, which are then
 * computed once for all passes; in registers of a workgroup for 8,192, where passes are short and need few guesses.
 */
function sampleTiles(kind: Device['kind'], V: number): SampleTiles {
  const row = Math.ceil(V / 4) * 4
  if (kind !== 'webgpu')
    return { tileV: Math.min(512, row), drawV: Math.min(2 ** 18, row), whole: V <= 2 ** 18, probes: 1 }
  const whole = V <= 8192
  return { tileV: Math.min(4096, row), drawV: whole ? row : 2048, whole, probes: whole ? 3 : 7 }
}
