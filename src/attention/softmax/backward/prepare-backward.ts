import type { Device, Tensor } from '../../../device/device.ts'
import type { Tiling } from '../../../device/tuning.ts'
import { type CapturedGradients, prepareCapturedGradients } from '../../backward/captured-gradients.ts'
import { traceScoreGradient } from '../../backward/score-gradient.ts'
import { traceNormalizer } from '../../backward/weight-gradient.ts'
import { type CallCache, callCache, type PlacedWork } from '../../call-cache.ts'
import type { MaskMod, ScoreMod } from '../../hooks.ts'
import { longestOf, maskInKernel, type PreparedCall, patternFits } from '../../prepare-call.ts'
import { itemFields } from '../flash-program.ts'
import { flashWork, type WorkList } from '../work-list.ts'
import type { BackwardParts } from './backward-passes.ts'
import { transposedWork } from './transposed-work.ts'
import { queryWork, type WorkTable, workWidth } from './work-table.ts'

/** What a forward needs of its own: `flashPass` takes it. */
export interface ForwardParts {
  readonly call: PreparedCall
  readonly cache: CallCache
  readonly scoreMod: ScoreMod | null
  readonly maskMod: MaskMod | null
  readonly maskKey: string
  readonly work: PlacedWork & { readonly itemCount: number }
}

/**
 * All that forward and backward of one size need beside their tensors: derivatives of the hooks, work lists on the device,
 * scratch. `keep` is given every tensor made.
 */
export function prepareBackward(
  where: string,
  device: Device,
  request: {
    readonly maskMod?: MaskMod
    readonly scoreMod?: ScoreMod
    readonly tiling?: Tiling
    readonly sinks?: unknown
  },
  call: PreparedCall,
  keep: (tensor: Tensor) => Tensor,
): { forward: ForwardParts; backward: BackwardParts; captured: CapturedGradients | null } {
  const { maskMod = null, scoreMod = null } = request
  const cache = callCache(device)
  const { shape, normalizer } = call
  const { batch, queries, keys, numHeads, numKvHeads, groupSize, headDim, valueDim, dtype } = shape
  const maskFor = masksOf(device, call, maskMod, cache, keep)
  const workSpec = call.workSpec()
  const place = ({ table, itemCount, headsPerItem }: WorkTable) => ({
    work: keep(device.tensor(table, [table.length / workWidth, workWidth])),
    itemCount,
    headsPerItem,
  })
  const tilingOf = (algorithm: 'query-gradient' | 'key-gradient', rows: number) =>
    request.tiling ?? device.tiling(algorithm, { dtype, headDim, valueDim, rows, ...longestOf(call.sequences) })
  const queryTiling = tilingOf('query-gradient', batch * queries * numHeads)
  const keyTiling = tilingOf('key-gradient', batch * keys * numKvHeads)
  const keysHangOver = (tileK: number) => keys % tileK !== 0

  const list = call.work() as WorkList
  const items = keep(device.tensor(list.items, [list.itemCount, itemFields.length]))
  const runs = keep(device.tensor(list.runs, [list.runs.length / 3, 3]))
  const { itemCount, headsPerItem } = list
  const forward: ForwardParts = {
    ...{ call, cache, scoreMod, work: { items, runs, itemCount, headsPerItem } },
    ...maskFor(call.tiling, keysHangOver(call.tiling.tileK)),
  }

  const sink = request.sinks !== undefined
  const [plain, withLse] = [false, true].map((dLse) => traceNormalizer(where, normalizer, { sink, dLse })) as [
    ReturnType<typeof traceNormalizer>,
    ReturnType<typeof traceNormalizer>,
  ]
  const { stored } = plain
  const terms = Math.max(plain.termCount, withLse.termCount) + (sink ? 1 : 0)
  const rowNumbers = (count: number) => keep(device.empty([count, batch, numHeads, queries]))
  const backward: BackwardParts = {
    ...{ call, cache, scoreMod, withSinks: sink },
    scoreGradient: scoreMod && traceScoreGradient(where, scoreMod),
    gradientOf: (dLse) => (dLse ? withLse : plain),
    query: {
      tiling: queryTiling,
      ...maskFor(queryTiling, keysHangOver(queryTiling.tileK)),
      ...place(queryWork(flashWork({ ...workSpec, ...queryTiling }))),
    },
    key: {
      tiling: keyTiling,
      ...maskFor(keyTiling, keysHangOver(keyTiling.tileK) || queries % keyTiling.tileQ !== 0),
      ...place(transposedWork({ ...workSpec, ...keyTiling, groupSize })),
    },
    rows: rowNumbers(Math.max(terms, 1)),
    states: stored.length > 0 ? rowNumbers(stored.length) : null,
  }
  return { forward, backward, captured: prepareCapturedGradients(device, backward, workSpec, keep) }
}

/** The mask that kernels of these tiles ask, and its name: the caller's, behind the block pattern where that does not fit them. */
function masksOf(
  device: Device,
  call: PreparedCall,
  maskMod: MaskMod | null,
  cache: CallCache,
  keep: (tensor: Tensor) => Tensor,
): (tiling: Tiling, hangsOver: boolean) => { maskMod: MaskMod | null; maskKey: string } {
  const { pattern } = call
  let cells: Tensor | null = null
  return (tiling, hangsOver) => {
    const key = `${call.mask?.key}`
    if (!pattern || patternFits(pattern, tiling, { hangsOver: maskMod !== null && hangsOver }))
      return { maskMod, maskKey: key }
    const shape = [pattern.batch * pattern.heads, pattern.rows, pattern.columns]
    cells ??= keep(device.tensor(Int32Array.from(pattern.cells), shape))
    return { maskMod: maskInKernel(call, maskMod, cells), maskKey: `${key} ${cache.numberOf(cells)}` }
  }
}
