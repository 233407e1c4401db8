import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, type Kernel } from '../../tile/index.ts'
import { describeSpec, maxHeadDim } from '../softmax/attention-shape.ts'
import { commonAlignment } from '../softmax/flash.ts'
import { mergeSplits } from '../softmax/merge-splits.ts'
import { keptProgram } from './kept-program.ts'
import { layoutKey, type PagePool, poolTensors } from './page-pool.ts'
import { pagedProgram } from './paged-program.ts'
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
  /** a query sees its own and the window − 1 keys before it, and the first `sinks` keys; null: all before it */
  readonly window?: number | null
  readonly sinks?: number
  readonly output: Tensor // [N, H·D] or [N, H, D], f32, f16 or bf16
}

/** Attention states of shares of the keys. */
export interface PagedStates {
  readonly states: Tensor // f32 [splits, N, H, D]
  readonly stateSums: Tensor // f32 [splits, 2, H, N]
  readonly lse: Tensor // f32 [H, N]
}

/** Shapes of the scratch of a call with more than one split. */
export function pagedStateShapes(spec: {
  readonly splits: number
  readonly tokens: number
  readonly numHeads: number
  readonly headDim: number
}): { readonly [K in keyof PagedStates]: readonly number[] } {
  checkFields('pagedStateShapes', 'spec', spec, pagedStateShapesFields)
  const { splits, tokens, numHeads, headDim } = spec
  return {
    states: [splits, tokens, numHeads, headDim],
    stateSums: [splits, 2, numHeads, tokens],
    lse: [numHeads, tokens],
  }
}

/**
 * Causal attention over pages (Kwon et al., PagedAttention, 2023, arXiv 2309.06180): query i of a sequence attends to its keys
 * 0 … kLength − qLength + i, less those that a window hides:
 *
 *   output_q = Σ_k p_qk value_k      p_q = softmax_k(softCap(scale · query_q · key_k))
 *
 * Key k of the sequence in row r of the page table lies in page pageTable[r, ⌊k / pageSize⌋], at place k mod pageSize. One
 * kernel, or two where the keys are cut into splits (Flash-Decoding); nothing is allocated, and the grid depends on the
 * shape of `work` alone, so that a recorded call serves later steps. Rows of `query` that no item names keep the output they
 * had, with splits it is undefined.
 *
 * Throws `shape`, `dtype`, `unsupported` (heads wider than 256), `argument` (splits without states), `limit` (more buffers
 * than the device binds), and what `Device.run` throws.
 */
export function pagedAttention(device: Device, options: PagedAttentionOptions): void {
  checkFields('pagedAttention', 'options', options, pagedAttentionFields)
  const { query, pages, pageTable, work, tiling, splits, output, states } = options
  const { softCap = null, window = null } = options
  const [tokens, numHeads, headDim] = checkShapes(options)
  const split = splits > 1
  if (split && !states)
    throw new FoveaError('argument', 'pagedAttention', `${splits} splits need the scratch of pagedStateShapes`)
  const rows = [numHeads * headDim, headDim, 1]
  const place =
    output.shape.length === 3
      ? output
      : output.view({ shape: [tokens, numHeads, headDim], strides: rows, offset: output.offset })
  try {
    const alignment = commonAlignment([...pages.keys, ...pages.values, ...(pages.recent ? [pages.recent] : [])])
    const rowAlignment = commonAlignment(split ? [query] : [query, place])
    const spec = {
      ...tiling,
      layout: pages,
      queryDType: query.dtype,
      outputDType: output.dtype,
      groupSize: numHeads / pages.numKvHeads,
      alignment,
      rowAlignment,
      window: window !== null,
      softCap,
      states: split,
    }
    const { tileQ, tileK, padTo, packHeads } = tiling
    const sizes = [spec.queryDType, spec.outputDType, spec.groupSize, tileQ, tileK, padTo, packHeads, alignment]
    const key = ['paged', layoutKey(pages), ...sizes, rowAlignment, spec.window, softCap, split].join(' ')
    const kernel: Kernel = {
      program: keptProgram(device, key, () => pagedProgram(spec)),
      grid: [work.shape[0] as number, packHeads ? pages.numKvHeads : numHeads, 1],
      scalars: {
        scale: options.scale ?? 1 / Math.sqrt(headDim),
        ...(window !== null && { window, sinks: options.sinks ?? 0 }),
      },
    }
    const inputs = { query, pageTable, work, ...poolTensors(pages) }
    if (!split || !states) {
      device.run(kernel, { ...inputs, output: place })
      return
    }
    device.run(kernel, { ...inputs, states: states.states, stateSums: states.stateSums })
    mergeStates(device, { states, output: place, splits, tokens, numHeads, headDim })
  } finally {
    if (place !== output) place.dispose()
  }
}

function mergeStates(
  device: Device,
  {
    states,
    output,
    splits,
    tokens,
    numHeads,
    headDim,
  }: {
    readonly states: PagedStates
    readonly output: Tensor
    readonly splits: number
    readonly tokens: number
    readonly numHeads: number
    readonly headDim: number
  },
): void {
  const { dtype } = output
  const shape = { dtype, valueDim: headDim, sinks: false, splits, batch: 1, queries: tokens, numHeads }
  const program = keptProgram(device, `merge ${dtype} ${headDim} false`, () => mergeSplits(shape).program)
  const batched = [
    output.view({ shape: [1, tokens, numHeads, headDim], strides: [0, ...output.strides], offset: output.offset }),
    states.lse.reshape([1, numHeads, tokens]),
  ] as const
  try {
    const [place, lse] = batched
    device.run(mergeSplits({ ...shape, program }), {
      states: states.states,
      stateSums: states.stateSums,
      output: place,
      lse,
    })
  } finally {
    for (const view of batched) view.dispose()
  }
}

/** N, H and D. */
function checkShapes(options: PagedAttentionOptions): [number, number, number] {
  const { query, pages, pageTable, work, output, states, splits } = options
  const fail = (code: 'shape' | 'dtype' | 'unsupported' | 'argument', message: string): never => {
    const got = { query, key: pages.keys[0] as Tensor, pageTable, work, output, ...states }
    const received = Object.entries(got).map(([name, tensor]) => `${name} ${describeSpec(tensor)}`)
    throw new FoveaError(code, 'pagedAttention', `${message}; got ${received.join(', ')}`)
  }
  const [tokens = 0, numHeads = 0, headDim = 0] = query.shape
  const same = (tensor: Tensor, ...shape: readonly number[]) => tensor.shape.join() === shape.join()
  if (query.shape.length !== 3) fail('shape', 'query must be [tokens, heads, width]')
  if (headDim !== pages.headDim) fail('shape', `the pages hold heads of width ${pages.headDim}`)
  if (headDim > maxHeadDim) fail('unsupported', `head widths go up to ${maxHeadDim}`)
  if (numHeads % pages.numKvHeads !== 0)
    fail('shape', `the number of query heads must be a multiple of the ${pages.numKvHeads} of the pages`)
  if (!same(output, tokens, numHeads * headDim) && !same(output, tokens, numHeads, headDim))
    fail('shape', `output must be [${tokens}, ${numHeads * headDim}]`)
  if (pageTable.shape.length !== 2) fail('shape', 'pageTable must be [rows, maxPages]')
  if (work.shape.length !== 2 || work.shape[1] !== workWidth) fail('shape', `work must be [items, ${workWidth}]`)
  for (const [name, { dtype }] of Object.entries({ query, output }))
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16') fail('dtype', `${name} must be f32, f16 or bf16`)
  if (!Number.isInteger(splits) || splits < 1) fail('argument', `splits must be a whole number ≥ 1, got ${splits}`)
  if (splits > 1 && states)
    for (const [name, shape] of Object.entries(pagedStateShapes({ splits, tokens, numHeads, headDim })))
      if (!same(states[name as keyof PagedStates], ...shape)) fail('shape', `${name} must be [${shape.join(', ')}]`)
  return [tokens, numHeads, headDim]
}

const pagedAttentionFields: FieldsOf<PagedAttentionOptions> = {
  query: true,
  pages: true,
  pageTable: true,
  work: true,
  tiling: true,
  splits: true,
  states: true,
  scale: true,
  softCap: true,
  window: true,
  sinks: true,
  output: true,
}

const pagedStateShapesFields: FieldsOf<Parameters<typeof pagedStateShapes>[0]> = {
  splits: true,
  tokens: true,
  numHeads: true,
  headDim: true,
}
