import type { Device, Tensor } from '../device/device.ts'
import {
  checkChoice,
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  type Kernel,
  load,
  loop,
  type Program,
  rowRange,
  select,
  sizeOf,
  store,
  type TensorSpec,
} from '../tile/index.ts'
import { seenGenerated, seenInPrompt } from './sampling/sampling-settings.ts'

/** Where tokens come from: the prompt, which only tells that they occurred, or the answer, which counts them. */
export type CountedAs = 'prompt' | 'generated'

export interface CountTokensOptions {
  /** i32 [slots, V], zeros before a sequence's first token */
  readonly counts: Tensor
  /** the slot of each row of tokens, i32 [R]; no two rows have the same one, and one outside the counts drops the row */
  readonly slots: Tensor
  /** i32 [R, n]; what is no token (−1) is passed over. Of generated ones n is at most 256 */
  readonly tokens: Tensor
  readonly as: CountedAs
}

/** tokens of a tile, and most generated ones in a call */
const tile = 256

/**
 * Notes tokens in the counts that `sample` penalises by: bit 0 of counts[slots[r], token] tells that the prompt has the token,
 * the bits above it how often it was generated. Tokens may repeat in a row.
 *
 * Throws `shape`, `dtype`, `argument` (more than 256 generated tokens in a row), and what `Device.run` throws.
 */
export function countTokens(device: Device, options: CountTokensOptions): void {
  checkFields('countTokens', 'options', options, countTokensFields)
  const { counts, slots, tokens } = options
  device.run(countTokensKernel(options), { counts, slots, tokens })
}

/** The kernel of `countTokens`. Throws `shape`, `dtype` and `argument`. */
export function countTokensKernel(spec: {
  readonly counts: TensorSpec
  readonly slots: TensorSpec
  readonly tokens: TensorSpec
  readonly as: CountedAs
}): Kernel {
  checkFields('countTokensKernel', 'spec', spec, countTokensKernelFields)
  checkChoice('countTokens', 'as', spec.as, ['prompt', 'generated'])
  const { counts, slots, tokens } = spec
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string) => {
    const got = Object.entries({ counts, slots, tokens }).map(
      ([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`,
    )
    return new FoveaError(code, 'countTokens', `${what}, got ${got.join(', ')}`)
  }
  const [R = 0, n = 0] = tokens.shape
  if (counts.shape.length !== 2 || tokens.shape.length !== 2 || slots.shape.join() !== `${R}`)
    throw fail('shape', 'counts must be [slots, V], slots [R], tokens [R, n]')
  for (const { dtype } of [counts, slots, tokens]) if (dtype !== 'i32') throw fail('dtype', 'all must be i32')
  if (spec.as === 'generated' && n > tile)
    throw fail('argument', `at most ${tile} generated tokens of a row can be counted at once`)
  const columns = n === 1 ? 1 : tile
  return { program: countTokensProgram(spec.as, columns), grid: [R, n === 0 ? 0 : 1, 1], scalars: {} }
}

/**
 * One program owns a row of tokens. Of the prompt, equal ones store the same number, whichever is first. Generated ones are one
 * tile, in which the first of equal ones counts them all.
 */
function countTokensProgram(as: CountedAs, columns: number): Program {
  return defineProgram(`count-tokens-${as}`, (p) => {
    const counts = p.update('counts', 'i32', [null, null])
    const slots = p.input('slots', 'i32', [null])
    const tokens = p.input('tokens', 'i32', [null, null])
    const row = p.programId(0)
    const slot = load(slots, [row])
    const length = sizeOf(tokens, 1)
    loop(
      { to: length, step: columns },
      {},
      (from, _, emit) => {
        const at = colRange(from, columns)
        const token = select(at.lt(length), load(tokens, [row, at]), -1) //             [1, columns]
        const before = load(counts, [slot, token])
        if (as === 'prompt') emit(store(counts, [slot, token], before.or(seenInPrompt)))
        else {
          // down the rows once more: [i, j] compares token i to token j; the first of the equal ones stores for all
          const down = rowRange(from, columns)
          const other = select(down.lt(length), load(tokens, [row, down]), -1) //       [columns, 1]
          const equal = other.eq(token).cast('i32') //                                  [columns, columns]
          const earlier = equal.mul(down.lt(at).cast('i32')).colSum() //                [1, columns]
          const after = before.add(equal.colSum().mul(seenGenerated))
          emit(store(counts, [slot, token], after, { where: earlier.eq(0) }))
        }
        return {}
      },
      p.emit,
    )
  })
}

const countTokensFields: FieldsOf<CountTokensOptions> = { counts: true, slots: true, tokens: true, as: true }

const countTokensKernelFields: FieldsOf<Parameters<typeof countTokensKernel>[0]> = {
  counts: true,
  slots: true,
  tokens: true,
  as: true,
}
