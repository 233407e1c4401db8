import type { PagePool } from '../attention/paged/page-pool.ts'
import type { PagedTiling } from '../attention/paged/paged-tiling.ts'
import { type PagedSequence, planPagedWork, workWidth } from '../attention/paged/paged-work.ts'
import { recentSlots } from '../cache/recent-slots.ts'
import type { Device, Recording, Tensor } from '../device/device.ts'
import { FoveaError } from '../tile/index.ts'
import { enqueueDecoder, enqueueLogits } from './decoder.ts'
import type { DecoderWeights } from './decoder-weights.ts'
import { decodeWork, makeStepViews, prefillWork, type StepShape } from './make-step-views.ts'
import type { HeadsPlan } from './plan-heads.ts'
import { type CachePlan, defaultStepDTypes, planRunner, type RunnerLimits, type RunnerPlan } from './plan-runner.ts'
import { RecordedSteps } from './recorded-steps.ts'
import { StepBuffers, type StepDTypes } from './step-buffers.ts'

/** Where keys and values lie, as a cache gives it. */
export interface RunnerCache extends Omit<CachePlan, 'pageSize'> {
  readonly pools: readonly PagePool[] // one per layer that keeps keys and values (`keptLayers`)
  readonly pageTable: Tensor // i32 [rows, maxPages]
}

/** A step: its tokens packed, those of prefill sequences first, those of decode ones behind them. */
export interface StepInput {
  /** null: those that the tensor `ids` of the runner holds, where the step before may have drawn them */
  readonly ids: ArrayLike<number> | null
  readonly positions: ArrayLike<number>
  readonly slots: ArrayLike<number>
  readonly prefill: readonly PagedSequence[]
  /** of few tokens each; `qBase` counts from the step's first token */
  readonly decode: readonly PagedSequence[]
  /** tokens whose logits are asked for */
  readonly rows: ArrayLike<number>
}

/** What follows the decoder in a step, and is recorded with it. */
export interface StepTail {
  /** tells tails apart: equal keys enqueue the same for the same number of rows */
  readonly key: string
  enqueue(logits: Tensor): void
}

/** steps of so many shapes are kept recorded */
const keptRecordings = 32

/**
 * Runs steps of a decoder on a device, in buffers that are allocated once. Steps of a shape are recorded when first met; after
 * that a step writes a few hundred numbers and enqueues the recording.
 */
export class DecoderRunner {
  readonly device: Device
  readonly weights: DecoderWeights
  readonly limits: RunnerLimits
  /** the tokens of a step, i32 [tokens]: a step may write there what the next one reads */
  readonly ids: Tensor
  readonly #cache: RunnerCache
  readonly #buffers: StepBuffers
  readonly #plan: RunnerPlan
  readonly #recorded = new RecordedSteps(keptRecordings)

  constructor(
    device: Device,
    weights: DecoderWeights,
    cache: RunnerCache,
    limits: RunnerLimits,
    dtypes: StepDTypes = defaultStepDTypes(device),
  ) {
    this.device = device
    this.weights = weights
    this.limits = limits
    this.#cache = cache
    const [{ pageSize }] = cache.pools as [PagePool]
    this.#plan = planRunner(device, weights.spec, { ...cache, pageSize }, limits, dtypes)
    this.#buffers = new StepBuffers(device, weights.spec, this.#plan.stepLimits, dtypes)
    this.ids = this.#buffers.view('ids', [limits.tokens])
  }

  /** Enqueues a step; the logits [rows, V] are what `tail` reads. Throws `argument` beyond the limits. */
  run(input: StepInput, tail: StepTail | null): void {
    const shape = this.#shapeOf(input)
    const { prefillTokens, decodeTokens, rows, decodes } = shape
    const tiles = [...decodes.values()].flatMap(({ tiling, splits }) => [tiling.tileQ, tiling.tileK, splits])
    const sizes = [prefillTokens, decodeTokens, rows, ...tiles]
    const key = [...sizes, rows > 0 ? (tail?.key ?? '') : ''].join(' ')
    const step = this.#recorded.get(key) ?? this.#recorded.add(key, this.#record(shape, tail))
    this.#fill(input, shape)
    step.run()
  }

  /** The logits of a row of the step enqueued last, before any soft cap. */
  async logitsRow(row: number): Promise<Float32Array> {
    const { vocabSize } = this.weights.spec
    const view = this.#buffers.view('logits', [vocabSize], row * vocabSize)
    try {
      return (await view.read()) as Float32Array
    } finally {
      view.dispose()
    }
  }

  dispose(): void {
    this.#recorded.dispose()
    this.ids.dispose()
    this.#buffers.dispose()
  }

  #shapeOf({ positions, prefill, decode, rows }: StepInput): StepShape {
    const { limits } = this
    const count = (sequences: readonly PagedSequence[]) => sequences.reduce((sum, { qLength }) => sum + qLength, 0)
    const [prefillTokens, decodeTokens] = [count(prefill), count(decode)]
    const decodeQueries = decode.reduce((most, { qLength }) => Math.max(most, qLength), 1)
    if (
      prefillTokens + decodeTokens !== positions.length ||
      positions.length > limits.tokens ||
      rows.length > limits.rows ||
      prefill.length + decode.length > limits.sequences ||
      decodeQueries > limits.decodeQueries
    )
      throw new FoveaError(
        'argument',
        'runner.run',
        `${positions.length} tokens of ${prefill.length} + ${decode.length} sequences, ${rows.length} rows; limits are ${JSON.stringify(limits)}`,
      )
    const contexts = decode.map(({ kLength }) => kLength)
    const decodes = new Map(
      [...this.#plan.heads].map(([key, plan]) => {
        const splits = decode.length > 0 ? plan.splitsOf(contexts, decodeQueries) : 1
        return [key, { tiling: plan.decodeTiling(decodeQueries, contexts), splits }] as const
      }),
    )
    return { prefillTokens, decodeTokens, rows: rows.length, decodes }
  }

  #record(shape: StepShape, tail: StepTail | null): Recording {
    const { views, logits, all } = makeStepViews(
      this.#buffers,
      this.weights.spec,
      this.#plan,
      this.#cache.pageTable,
      shape,
    )
    try {
      return this.device.record(() => {
        enqueueDecoder(this.device, this.weights, this.#cache.pools, views)
        if (!views.rows || !logits) return
        enqueueLogits(this.device, this.weights, views.rows, logits)
        tail?.enqueue(logits)
      })
    } finally {
      // the recording holds their memory
      for (const view of all) view.dispose()
    }
  }

  /** Writes what changes from step to step. */
  #fill({ ids, positions, slots, prefill, decode, rows }: StepInput, shape: StepShape): void {
    const write = (name: 'ids' | 'positions' | 'slots' | 'recentSlots' | 'rowIndices', data: ArrayLike<number>) => {
      if (data.length === 0) return
      const view = this.#buffers.view(name, [data.length])
      view.write(Int32Array.from(data))
      view.dispose()
    }
    if (ids) write('ids', ids)
    write('positions', positions)
    write('slots', slots)
    const recentTokens = this.#cache.pools[0]?.recentTokens ?? 0
    if (recentTokens > 0)
      write('recentSlots', recentSlots([...prefill, ...decode], recentTokens, new Int32Array(positions.length)))
    write('rowIndices', rows)
    const { prefillTokens, decodeTokens } = shape
    if (prefill.length > 0)
      for (const { plan, first, items } of prefillWork(this.#plan, prefillTokens))
        this.#writeWork('prefillWork', prefill, plan, { tiling: plan.prefillTiling, splits: 1, first, items })
    // rows of decode count from their own first one
    const local = decode.map((sequence) => ({ ...sequence, qBase: sequence.qBase - prefillTokens }))
    if (decode.length > 0)
      for (const { plan, first, items, tiling, splits } of decodeWork(this.#plan, decodeTokens, shape))
        this.#writeWork('decodeWork', local, plan, { tiling, splits, first, items })
  }

  #writeWork(
    name: 'prefillWork' | 'decodeWork',
    sequences: readonly PagedSequence[],
    { visible, groupSize }: HeadsPlan,
    place: { readonly tiling: PagedTiling; readonly splits: number; readonly first: number; readonly items: number },
  ): void {
    const { tiling, splits, first, items } = place
    visible.forEach(({ window, sinks, chunk }, i) => {
      const { work } = planPagedWork({
        sequences,
        window,
        sinks,
        chunk,
        tileQ: tiling.tileQ,
        tileK: tiling.tileK,
        rowsPerQuery: tiling.packHeads ? groupSize : 1,
        splits,
        capacity: items,
      })
      const view = this.#buffers.view(name, [work.length], (first + i * items) * workWidth)
      view.write(work)
      view.dispose()
    })
  }
}
