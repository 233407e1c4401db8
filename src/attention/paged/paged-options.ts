import type { Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { describeSpec } from '../softmax/attention-shape.ts'
import type { PagePool } from './page-pool.ts'
import { type PagedStates, pagedStateShapes } from './paged-states.ts'
import type { PagedTiling } from './paged-tiling.ts'
import { workWidth } from './paged-work.ts'

export interface PagedAttentionOptions {
  readonly query: Tensor // [N, H, D]
  readonly pages: PagePool
  readonly pageTable: Tensor // i32 [rows, maxPages]
  /** of `planPagedWork`; its rows are the grid */
  readonly work: Tensor // i32 [items, workWidth]
  /** what the work was planned for */
  readonly tiling: PagedTiling
  readonly splits: number
  /** scratch for more than one split: `pagedStateShapes` */
  readonly states?: PagedStates
  /** factor of the scores; 1 / √D by default */
  readonly scale?: number
  /** scores become c · tanh(score / c); null for none */
  readonly softCap?: number | null
  /** slope_h · (k − q) is added to the score of query q and key k in head h (ALiBi, arXiv 2108.12409); not with softCap */
  readonly alibiSlopes?: Tensor | null // f32 [H]
  /** a logit of each head that takes weight and gives no value, as `sinks` of `attention` (gpt-oss, arXiv 2508.10925) */
  readonly sinkLogits?: Tensor | null // f32 [H]
  /** a query sees its own and the window − 1 keys before it, and the first `sinks` keys; null: all before it */
  readonly window?: number | null
  readonly sinks?: number
  /** of these, a query at q sees key k only where ⌊k / chunk⌋ = ⌊q / chunk⌋ (Llama 4); null for no chunks */
  readonly chunk?: number | null
  readonly output: Tensor // [N, H·Dv] or [N, H, Dv], f32, f16 or bf16
}

/** accumulators of a row of queries stay on chip */
const widestHead = 1024

/** N and H of a call. Throws `shape`, `dtype`, `unsupported` and `argument` in the name of `pagedAttention`. */
export function checkPaged(options: PagedAttentionOptions): { tokens: number; numHeads: number } {
  checkFields('pagedAttention', 'options', options, fields)
  const { query, pages, pageTable, work, output, states, splits } = options
  const { sinkLogits, alibiSlopes, softCap, window, chunk } = options
  const fail = (code: 'shape' | 'dtype' | 'unsupported' | 'argument', message: string): never => {
    const got = { query, key: pages.keys[0], pageTable, work, output, ...states, sinkLogits, alibiSlopes }
    const received = Object.entries(got).flatMap(([name, tensor]) =>
      tensor ? [`${name} ${describeSpec(tensor)}`] : [],
    )
    throw new FoveaError(code, 'pagedAttention', `${message}; got ${received.join(', ')}`)
  }
  const [tokens = 0, numHeads = 0, headDim = 0] = query.shape
  const { valueDim } = pages
  const same = (tensor: Tensor, ...shape: readonly number[]) => tensor.shape.join() === shape.join()
  if (query.shape.length !== 3) fail('shape', 'query must be [tokens, heads, width]')
  if (headDim !== pages.headDim) fail('shape', `the pages hold heads of width ${pages.headDim}`)
  if (headDim > widestHead || valueDim > widestHead) fail('unsupported', `head widths go up to ${widestHead}`)
  if (numHeads % pages.numKvHeads !== 0)
    fail('shape', `the number of query heads must be a multiple of the ${pages.numKvHeads} of the pages`)
  if (!same(output, tokens, numHeads * valueDim) && !same(output, tokens, numHeads, valueDim))
    fail('shape', `output must be [${tokens}, ${numHeads * valueDim}]`)
  if (pageTable.shape.length !== 2) fail('shape', 'pageTable must be [rows, maxPages]')
  if (work.shape.length !== 2 || work.shape[1] !== workWidth) fail('shape', `work must be [items, ${workWidth}]`)
  for (const [name, { dtype }] of Object.entries({ query, output }))
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16') fail('dtype', `${name} must be f32, f16 or bf16`)
  for (const [name, tensor] of Object.entries({ sinkLogits, alibiSlopes })) {
    if (tensor && !same(tensor, numHeads)) fail('shape', `${name} must be [${numHeads}]`)
    if (tensor && tensor.dtype !== 'f32') fail('dtype', `${name} must be f32`)
  }
  if (alibiSlopes && typeof softCap === 'number') fail('unsupported', 'alibiSlopes and a softCap are not combined')
  for (const [name, count] of Object.entries({ window, chunk }))
    if (typeof count === 'number' && (!Number.isInteger(count) || count < 1))
      fail('argument', `${name} must be a whole number ≥ 1 or null, got ${count}`)
  if (!Number.isInteger(splits) || splits < 1) fail('argument', `splits must be a whole number ≥ 1, got ${splits}`)
  if (splits > 1 && !states) fail('argument', `${splits} splits need the scratch of pagedStateShapes`)
  if (splits > 1 && states)
    for (const [name, shape] of Object.entries(pagedStateShapes({ splits, tokens, numHeads, valueDim })))
      if (!same(states[name as keyof PagedStates], ...shape)) fail('shape', `${name} must be [${shape.join(', ')}]`)
  return { tokens, numHeads }
}

const fields: FieldsOf<PagedAttentionOptions> = {
  query: true,
  pages: true,
  pageTable: true,
  work: true,
  tiling: true,
  splits: true,
  states: true,
  scale: true,
  softCap: true,
  alibiSlopes: true,
  sinkLogits: true,
  window: true,
  sinks: true,
  chunk: true,
  output: true,
}
