import type { Device } from '../../device/device.ts'
import type { Kernel } from '../../tile/index.ts'
import { commonAlignment } from '../softmax/flash.ts'
import { keptProgram } from './kept-program.ts'
import { layoutKey, type PagePool, poolTensors } from './page-pool.ts'
import { checkPaged, type PagedAttentionOptions } from './paged-options.ts'
import { type PagedProgramSpec, pagedProgram } from './paged-program.ts'
import { mergePagedStates } from './paged-states.ts'

/**
 * Causal attention over pages (Kwon et al., PagedAttention, 2023, arXiv 2309.06180): query i of a sequence attends to its keys
 * 0 … kLength − qLength + i, less those that a window or a chunk hides:
 *
 *   output_q = Σ_k p_qk value_k      p_q = softmax_k(softCap(scale · query_q · key_k)), over a sink logit as well
 *
 * Key k of the sequence in row r of the page table lies in page pageTable[r, ⌊k / pageSize⌋], at place k mod pageSize. One
 * kernel, or two where the keys are cut into splits (Flash-Decoding); nothing is allocated, and the grid depends on the
 * shape of `work` alone, so that a recorded call serves later steps. Rows of `query` that no item names keep the output they
 * had, with splits it is undefined.
 *
 * What other sequences left in the pages beyond kLength may be anything. Infinite and NaN values of the sequence itself reach
 * what `attention` says: with a window, rows whose tile of keys still holds one that they no longer see.
 *
 * Throws `shape`, `dtype`, `unsupported` (heads wider than 1,024, slopes with a soft cap), `argument` (splits without states),
 * `limit` (more buffers than the device binds), and what `Device.run` throws.
 */
export function pagedAttention(device: Device, options: PagedAttentionOptions): void {
  const { tokens, numHeads } = checkPaged(options)
  const { query, pages, pageTable, work, tiling, splits, output, states } = options
  const { softCap = null, window = null, chunk = null, alibiSlopes = null, sinkLogits = null } = options
  const { headDim, valueDim, numKvHeads } = pages
  const split = splits > 1
  const rows = [numHeads * valueDim, valueDim, 1]
  const place =
    output.shape.length === 3
      ? output
      : output.view({ shape: [tokens, numHeads, valueDim], strides: rows, offset: output.offset })
  try {
    const spec: Omit<PagedProgramSpec, 'layout'> = {
      ...tiling,
      queryDType: query.dtype,
      outputDType: output.dtype,
      groupSize: numHeads / numKvHeads,
      alignment: commonAlignment([...pages.keys, ...pages.values, ...(pages.recent ? [pages.recent] : [])]),
      rowAlignment: commonAlignment(split ? [query] : [query, place]),
      window: window !== null,
      chunk: chunk !== null,
      softCap,
      alibi: alibiSlopes !== null,
      sinkLogits: sinkLogits !== null && !split,
      states: split,
    }
    const kernel: Kernel = {
      program: keptProgram(device, programKey(spec, pages), () => pagedProgram({ ...spec, layout: pages })),
      grid: [work.shape[0] as number, tiling.packHeads ? numKvHeads : numHeads, 1],
      scalars: {
        scale: options.scale ?? 1 / Math.sqrt(headDim),
        ...(window !== null && { window, sinks: options.sinks ?? 0 }),
        ...(chunk !== null && { chunk }),
      },
    }
    const inputs = { query, pageTable, work, ...poolTensors(pages), ...(alibiSlopes && { alibiSlopes }) }
    if (!split || !states) {
      device.run(kernel, { ...inputs, ...(sinkLogits && { sinkLogits }), output: place })
      return
    }
    device.run(kernel, { ...inputs, states: states.states, stateSums: states.stateSums })
    mergePagedStates(device, states, place, { splits, tokens, numHeads, valueDim }, sinkLogits)
  } finally {
    if (place !== output) place.dispose()
  }
}

function programKey(spec: Omit<PagedProgramSpec, 'layout'>, pages: PagePool): string {
  const { tileQ, tileK, padTo, packHeads, queryDType, outputDType, groupSize, alignment, rowAlignment } = spec
  const sizes = [queryDType, outputDType, groupSize, tileQ, tileK, padTo, packHeads, alignment, rowAlignment]
  const hooks = [spec.window, spec.chunk, spec.softCap, spec.alibi, spec.sinkLogits, spec.states]
  return ['paged', layoutKey(pages), ...sizes, ...hooks].join(' ')
}
