import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf } from '../../tile/index.ts'
import { mergeSplits } from '../softmax/merge-splits.ts'
import { keptProgram } from './kept-program.ts'

/** Attention states of shares of the keys. */
export interface PagedStates {
  readonly states: Tensor // f32 [splits, N, H, Dv]
  readonly stateSums: Tensor // f32 [splits, 2, H, N]
  readonly lse: Tensor // f32 [H, N]
}

export interface PagedStatesSpec {
  readonly splits: number
  readonly tokens: number
  readonly numHeads: number
  readonly valueDim: number
}

/** Shapes of the scratch of a call with more than one split. */
export function pagedStateShapes(spec: PagedStatesSpec): { readonly [K in keyof PagedStates]: readonly number[] } {
  checkFields('pagedStateShapes', 'spec', spec, fields)
  const { splits, tokens, numHeads, valueDim } = spec
  return {
    states: [splits, tokens, numHeads, valueDim],
    stateSums: [splits, 2, numHeads, tokens],
    lse: [numHeads, tokens],
  }
}

/** Enqueues the merge of states into `output` [N, H, Dv]; `sinkLogits` f32 [H] join the sums once. */
export function mergePagedStates(
  device: Device,
  { states, stateSums, lse }: PagedStates,
  output: Tensor,
  { splits, tokens, numHeads, valueDim }: PagedStatesSpec,
  sinkLogits: Tensor | null,
): void {
  const { dtype } = output
  const sinks = sinkLogits !== null
  const shape = { dtype, valueDim, sinks, splits, batch: 1, queries: tokens, numHeads }
  const program = keptProgram(device, `merge ${dtype} ${valueDim} ${sinks}`, () => mergeSplits(shape).program)
  const views = [
    output.view({ shape: [1, tokens, numHeads, valueDim], strides: [0, ...output.strides], offset: output.offset }),
    lse.reshape([1, numHeads, tokens]),
  ] as const
  try {
    const [place, batchedLse] = views
    const tensors = { states, stateSums, output: place, lse: batchedLse, ...(sinkLogits && { sinks: sinkLogits }) }
    device.run(mergeSplits({ ...shape, program }), tensors)
  } finally {
    for (const view of views) view.dispose()
  }
}

const fields: FieldsOf<PagedStatesSpec> = { splits: true, tokens: true, numHeads: true, valueDim: true }
