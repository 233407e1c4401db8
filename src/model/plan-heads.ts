import { type PagedTiling, pagedSplits, pagedTiling } from '../attention/paged/paged-tiling.ts'
import { pagedWorkCapacity } from '../attention/paged/paged-work.ts'
import type { Device } from '../device/device.ts'
import type { AttentionSpec, LayerSpec } from './decoder-spec.ts'
import type { CachePlan, RunnerLimits } from './runner-limits.ts'
import { qkvWidth, type StepDTypes } from './step-buffers.ts'
import { valueWidth } from './value-width.ts'

/** Keys that layers of one kind see. */
export interface VisibleKeys {
  /** `visibilityKey` of these layers */
  readonly key: string
  readonly window: number | null
  readonly sinks: number
  readonly chunk: number | null
}

/** How layers whose heads are alike attend: tilings and capacities, known before anything is allocated. */
export interface HeadsPlan {
  readonly spec: AttentionSpec
  readonly groupSize: number
  readonly visible: readonly VisibleKeys[]
  readonly prefillTiling: PagedTiling
  /** for the keys of each sequence */
  decodeTiling(queries: number, contexts: readonly number[]): PagedTiling
  prefillItems(tokens: number): number
  decodeItems(tokens: number, tiling: PagedTiling, splits: number): number
  splitsOf(contexts: readonly number[], queries: number): number
  /** rows of attention states of the largest step, and items of its decode */
  readonly stateRows: number
  readonly mostDecodeItems: number
}

/** Equal for layers whose heads are alike: they share tilings, work and buffers. */
export function headsKey(spec: AttentionSpec): string {
  const { latent } = spec
  const kept = latent ? [latent.query?.rank ?? 0, latent.nopeDim, latent.ropeDim, latent.valueDim] : []
  return [spec.numHeads, spec.numKvHeads, spec.headDim, valueWidth(spec), qkvWidth(spec), ...kept].join(' × ')
}

/** Equal for layers that see the same keys. */
export function visibilityKey({ window, chunk }: AttentionSpec): string {
  return `window ${window}, chunk ${chunk ?? null}`
}

/** The plan of layers whose heads are alike; `layers` are not empty. */
export function planHeads(
  device: Device,
  layers: readonly LayerSpec[],
  cache: CachePlan,
  limits: RunnerLimits,
  dtypes: StepDTypes,
): HeadsPlan {
  const [{ attention: spec }] = layers as readonly [LayerSpec]
  const { numHeads, numKvHeads, headDim } = spec
  const groupSize = numHeads / numKvHeads
  const tiled = {
    layout: { headDim, valueDim: valueWidth(spec), pageSize: cache.pageSize },
    groupSize,
    queryDType: dtypes.query,
  }
  const prefillTiling = pagedTiling(device, 'prefill', tiled)
  const decodeTiling = (queries: number, contexts: readonly number[]) =>
    pagedTiling(device, 'decode', { ...tiled, queries, context: Math.max(0, ...contexts) })
  const rowsPerQuery = (tiling: PagedTiling) => (tiling.packHeads ? groupSize : 1)
  const splitsOf = (contexts: readonly number[], queries: number) => {
    const tiling = decodeTiling(queries, contexts)
    const rowTiles = Math.ceil((queries * rowsPerQuery(tiling)) / tiling.tileQ)
    return pagedSplits(device, { contexts, numKvHeads, tileK: tiling.tileK, rowTiles })
  }
  const items = (tiling: PagedTiling, tokens: number, splits: number) =>
    pagedWorkCapacity({
      tokens,
      sequences: limits.sequences,
      tileQ: tiling.tileQ,
      rowsPerQuery: rowsPerQuery(tiling),
      splits,
    })

  let [stateRows, mostDecodeItems] = [0, 0]
  const lengths = Array.from({ length: Math.ceil(Math.log2(cache.maxTokens)) + 1 }, (_, i) => 2 ** i)
  // drafts may be shorter than they might, and fewer queries are cut into more splits
  for (let queries = 1; queries <= limits.decodeQueries; queries++)
    for (let sequences = 1; sequences <= limits.sequences; sequences++)
      for (const length of lengths) {
        const contexts = new Array<number>(sequences).fill(length)
        const splits = splitsOf(contexts, queries)
        if (splits > 1) stateRows = Math.max(stateRows, splits * sequences * queries * numHeads)
        const tiling = decodeTiling(queries, contexts)
        mostDecodeItems = Math.max(mostDecodeItems, items(tiling, sequences * queries, splits))
      }
  return {
    spec,
    groupSize,
    visible: visibleKeys(layers, cache.policy),
    prefillTiling,
    decodeTiling,
    prefillItems: (tokens) => items(prefillTiling, tokens, 1),
    decodeItems: (tokens, tiling, splits) => items(tiling, tokens, splits),
    splitsOf,
    stateRows,
    mostDecodeItems,
  }
}

/** One entry for each window and chunk that layers have. */
function visibleKeys(layers: readonly LayerSpec[], policy: CachePlan['policy']): VisibleKeys[] {
  const kinds = new Map(layers.map(({ attention }) => [visibilityKey(attention), attention]))
  return [...kinds].map(([key, { window, chunk: size }]) => {
    const chunk = size ?? null
    if (!policy || (window !== null && window <= policy.window)) return { key, window, sinks: 0, chunk }
    return { key, window: policy.window, sinks: policy.sinks, chunk }
  })
}
