import type { PageLayout } from '../attention/paged/page-pool.ts'
import { type PagedTiling, pagedSplits, pagedTiling } from '../attention/paged/paged-tiling.ts'
import { pagedWorkCapacity, workWidth } from '../attention/paged/paged-work.ts'
import type { Device } from '../device/device.ts'
import { FoveaError } from '../tile/index.ts'
import type { DecoderSpec, LayerSpec } from './decoder-spec.ts'
import type { StepDTypes, StepLimits } from './step-buffers.ts'

/** What a runner is made for; with the specification it decides its memory. */
export interface RunnerLimits {
  /** most tokens of a step */
  readonly tokens: number
  /** most tokens of a step whose logits are asked for */
  readonly rows: number
  /** most sequences of a step, and of decode among them most tokens of each (more than 1 for speculation) */
  readonly sequences: number
  readonly decodeQueries: number
}

/** What of a cache decides how steps attend to it. */
export interface CachePlan {
  readonly layout: Pick<PageLayout, 'headDim' | 'pageSize'>
  /** keys that every layer sees at most: the newest `window`, and the first `sinks`; null for all */
  readonly policy: { readonly window: number; readonly sinks: number } | null
  /** most tokens of a sequence */
  readonly maxTokens: number
}

/** Keys that layers of one kind see. */
export interface VisibleKeys {
  /** the window that these layers have in the specification */
  readonly layerWindow: number | null
  readonly window: number | null
  readonly sinks: number
}

/** Tilings, capacities and limits of a runner, known before anything is allocated. */
export interface RunnerPlan {
  readonly groupSize: number
  readonly visible: readonly VisibleKeys[]
  readonly prefillTiling: PagedTiling
  /** for the keys of each sequence */
  decodeTiling(queries: number, contexts: readonly number[]): PagedTiling
  prefillItems(tokens: number): number
  decodeItems(tokens: number, tiling: PagedTiling, splits: number): number
  splitsOf(contexts: readonly number[], queries: number): number
  readonly stepLimits: StepLimits
}

/** f16 where a GPU computes in it, else f32. */
export function defaultStepDTypes(device: Device): StepDTypes {
  const half = device.kind === 'webgpu' && (device.info.tier ?? 0) >= 2
  return half ? { compute: 'f16', query: 'f16' } : { compute: 'f32', query: 'f32' }
}

/** Throws `unsupported` when layers differ in what all buffers are made for. */
export function planRunner(
  device: Device,
  spec: DecoderSpec,
  cache: CachePlan,
  limits: RunnerLimits,
  dtypes: StepDTypes,
): RunnerPlan {
  const { numHeads, numKvHeads, headDim } = commonShape(spec.layers)
  const groupSize = numHeads / numKvHeads
  const tiled = { layout: cache.layout, groupSize, queryDType: dtypes.query }
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
  const prefillItems = (tokens: number) => items(prefillTiling, tokens, 1)
  const decodeItems = (tokens: number, tiling: PagedTiling, splits: number) => items(tiling, tokens, splits)
  const visible = visibleKeys(spec.layers, cache.policy)

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
        mostDecodeItems = Math.max(mostDecodeItems, decodeItems(sequences * queries, tiling, splits))
      }
  return {
    groupSize,
    visible,
    prefillTiling,
    decodeTiling,
    prefillItems,
    decodeItems,
    splitsOf,
    stepLimits: {
      tokens: limits.tokens,
      rows: limits.rows,
      stateElements: stateRows * headDim,
      stateRows,
      prefillItems: prefillItems(limits.tokens),
      decodeItems: mostDecodeItems,
      workWidth,
      windows: visible.length,
    },
  }
}

/** One entry for each window that layers have. */
function visibleKeys(layers: readonly LayerSpec[], policy: CachePlan['policy']): VisibleKeys[] {
  const windows = [...new Set(layers.map(({ attention }) => attention.window))]
  return windows.map((layerWindow) => {
    if (!policy || (layerWindow !== null && layerWindow <= policy.window))
      return { layerWindow, window: layerWindow, sinks: 0 }
    return { layerWindow, window: policy.window, sinks: policy.sinks }
  })
}

function commonShape(layers: readonly LayerSpec[]): { numHeads: number; numKvHeads: number; headDim: number } {
  const shapes = new Set(
    layers.map(({ attention: { numHeads, numKvHeads, headDim }, mlp }) =>
      [numHeads, numKvHeads, headDim, mlp.size].join(' × '),
    ),
  )
  const [first] = layers
  if (!first || shapes.size !== 1)
    throw new FoveaError(
      'unsupported',
      'planRunner',
      `layers must have one number and width of heads and one MLP width, got ${[...shapes].join('; ') || 'none'}`,
    )
  return first.attention
}
