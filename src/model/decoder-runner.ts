import type { PagePool } from '../attention/paged/page-pool.ts'
import type { PagedTiling } from '../attention/paged/paged-tiling.ts'
import { type PagedSequence, planPagedWork, workWidth } from '../attention/paged/paged-work.ts'
import { recentSlots } from '../cache/recent-slots.ts'
import type { Device, Recording, Tensor } from '../device/device.ts'
import { FoveaError } from '../tile/index.ts'
import { enqueueDecoder, enqueueLogits } from './decoder.ts'
import type { DecoderSpec } from './decoder-spec.ts'
import type { DecoderWeights } from './decoder-weights.ts'
import { type CachePlan, defaultStepDTypes, planRunner, type RunnerLimits, type RunnerPlan } from './plan-runner.ts'
import { RecordedSteps } from './recorded-steps.ts'
import { needsSublayerBuffer, StepBuffers, type StepDTypes } from './step-buffers.ts'
import type { AttentionCall, StepViews } from './step-views.ts'

/** Where keys and values lie, as a cache gives it. */
export interface RunnerCache extends Omit<CachePlan, 'layout'> {
  readonly pools: readonly PagePool[] // one per layer
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

interface StepShape {
  readonly prefillTokens: number
  readonly decodeTokens: number
  readonly rows: number
  /** of decode */
  readonly tiling: PagedTiling
  readonly splits: number
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
    const [layout] = cache.pools as [PagePool]
    this.#plan = planRunner(device, weights.spec, { ...cache, layout }, limits, dtypes)
    this.#buffers = new StepBuffers(device, weights.spec, this.#plan.stepLimits, dtypes)
    this.ids = this.#buffers.view('ids', [limits.tokens])
  }

  /** Enqueues a step; the logits [rows, V] are what `tail` reads. Throws `argument` beyond the limits. */
  run(input: StepInput, tail: StepTail | null): void {
    const shape = this.#shapeOf(input)
    const { prefillTokens, decodeTokens, rows, tiling, splits } = shape
    const sizes = [prefillTokens, decodeTokens, rows, tiling.tileQ, tiling.tileK, splits]
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
    const splits = decode.length > 0 ? this.#plan.splitsOf(contexts, decodeQueries) : 1
    const tiling = this.#plan.decodeTiling(decodeQueries, contexts)
    return { prefillTokens, decodeTokens, rows: rows.length, tiling, splits }
  }

  #record(shape: StepShape, tail: StepTail | null): Recording {
    const { views, logits, all } = this.#views(shape)
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
    this.#writeWork(
      'prefillWork',
      prefill,
      0,
      this.#plan.prefillTiling,
      1,
      this.#plan.prefillItems(shape.prefillTokens),
    )
    this.#writeWork(
      'decodeWork',
      decode,
      shape.prefillTokens,
      shape.tiling,
      shape.splits,
      this.#plan.decodeItems(shape.decodeTokens, shape.tiling, shape.splits),
    )
  }

  #writeWork(
    name: 'prefillWork' | 'decodeWork',
    sequences: readonly PagedSequence[],
    base: number,
    tiling: PagedTiling,
    splits: number,
    capacity: number,
  ): void {
    if (sequences.length === 0) return
    const local = base === 0 ? sequences : sequences.map((sequence) => ({ ...sequence, qBase: sequence.qBase - base }))
    this.#plan.visible.forEach(({ window, sinks }, i) => {
      const { work } = planPagedWork({
        sequences: local,
        window,
        sinks,
        tileQ: tiling.tileQ,
        tileK: tiling.tileK,
        rowsPerQuery: tiling.packHeads ? this.#plan.groupSize : 1,
        splits,
        capacity,
      })
      const view = this.#buffers.view(name, [work.length], i * capacity * workWidth)
      view.write(work)
      view.dispose()
    })
  }

  #views(shape: StepShape): { views: StepViews; logits: Tensor | null; all: Tensor[] } {
    const { spec } = this.weights
    const { hiddenSize: C, vocabSize: V } = spec
    const [{ attention, mlp }] = spec.layers as [DecoderSpec['layers'][number]]
    const { numHeads: H, numKvHeads: G, headDim: D } = attention
    const all: Tensor[] = []
    const view: StepBuffers['view'] = (name, dims, offset) => {
      const made = this.#buffers.view(name, dims, offset)
      all.push(made)
      return made
    }
    const { prefillTokens, decodeTokens, rows } = shape
    const N = prefillTokens + decodeTokens
    const works = (name: 'prefillWork' | 'decodeWork', items: number) =>
      new Map(
        this.#plan.visible.map(({ layerWindow, window, sinks }, i) => {
          const work = view(name, [items, workWidth], i * items * workWidth)
          return [layerWindow, { work, window, sinks }] as const
        }),
      )
    const calls: AttentionCall[] = []
    if (prefillTokens > 0)
      calls.push({
        query: view('query', [prefillTokens, H, D]),
        output: view('attended', [prefillTokens, H * D]),
        tiling: this.#plan.prefillTiling,
        splits: 1,
        states: null,
        works: works('prefillWork', this.#plan.prefillItems(prefillTokens)),
      })
    if (decodeTokens > 0) {
      const { splits, tiling } = shape
      const first = prefillTokens * H * D
      calls.push({
        query: view('query', [decodeTokens, H, D], first),
        output: view('attended', [decodeTokens, H * D], first),
        tiling,
        splits,
        states:
          splits === 1
            ? null
            : {
                states: view('states', [splits, decodeTokens, H, D]),
                stateSums: view('stateSums', [splits, 2, H, decodeTokens]),
                lse: view('lse', [H, decodeTokens]),
              },
        works: works('decodeWork', this.#plan.decodeItems(decodeTokens, tiling, splits)),
      })
    }
    const views: StepViews = {
      ids: view('ids', [N]),
      positions: view('positions', [N]),
      slots: view('slots', [N]),
      recentSlots: view('recentSlots', [N]),
      pageTable: this.#cache.pageTable,
      x: view('x', [N, C]),
      h: view('h', [N, C]),
      y: view('y', needsSublayerBuffer(spec) ? [N, C] : [0, C]),
      qkv: view('qkv', [N, (H + 2 * G) * D]),
      query: view('query', [N, H, D]),
      attended: view('attended', [N, H * D]),
      inner: view('inner', [N, mlp.size]),
      attention: calls,
      rows:
        rows === 0
          ? null
          : {
              indices: view('rowIndices', [rows]),
              gathered: view('gathered', [rows, C]),
              hidden: view('hidden', [rows, C]),
            },
    }
    return { views, logits: rows === 0 ? null : view('logits', [rows, V]), all }
  }
}
