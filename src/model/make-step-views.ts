import type { PagedTiling } from '../attention/paged/paged-tiling.ts'
import { workWidth } from '../attention/paged/paged-work.ts'
import type { Tensor } from '../device/device.ts'
import type { DeviceKind } from '../device/device-info.ts'
import { type MixtureBufferName, mixtureBufferSpecs } from '../nn/experts/mixture-plan.ts'
import type { AttentionSpec, DecoderSpec, LatentSpec } from './decoder-spec.ts'
import type { MixtureSpec } from './mixture-spec.ts'
import type { HeadsPlan } from './plan-heads.ts'
import type { RunnerPlan } from './plan-runner.ts'
import {
  gateWidth,
  mixtureKey,
  needsBranchBuffer,
  needsSublayerBuffer,
  qkvWidth,
  queryUpWidth,
  type StepBuffers,
} from './step-buffers.ts'
import type { AttentionCall, HeadViews, MixtureViews, StepViews, StreamsViews } from './step-views.ts'
import { valueWidth } from './value-width.ts'

/** What a step's recording depends on. */
export interface StepShape {
  readonly prefillTokens: number
  readonly decodeTokens: number
  readonly rows: number
  /** of decode, for each kind of heads */
  readonly decodes: ReadonlyMap<string, { readonly tiling: PagedTiling; readonly splits: number }>
}

/** Where the work of one kind of heads lies: `items` rows for each of its visibilities, from row `first` on. */
interface WorkPlace {
  readonly key: string
  readonly plan: HeadsPlan
  readonly first: number
  readonly items: number
}

/** Where the work of a prefill of so many tokens lies in `prefillWork`. */
export function prefillWork({ heads }: RunnerPlan, tokens: number): WorkPlace[] {
  return placed([...heads].map(([key, plan]) => ({ key, plan, items: plan.prefillItems(tokens) })))
}

/** Where the work of a decode of so many tokens lies in `decodeWork`. */
export function decodeWork(
  { heads }: RunnerPlan,
  tokens: number,
  { decodes }: StepShape,
): (WorkPlace & { readonly tiling: PagedTiling; readonly splits: number })[] {
  return placed(
    [...heads].map(([key, plan]) => {
      const { tiling, splits } = decodes.get(key) ?? { tiling: plan.prefillTiling, splits: 1 }
      return { key, plan, tiling, splits, items: plan.decodeItems(tokens, tiling, splits) }
    }),
  )
}

function placed<T extends Omit<WorkPlace, 'first'>>(places: readonly T[]): (T & WorkPlace)[] {
  let next = 0
  return places.map((place) => {
    const first = next
    next += place.plan.visible.length * place.items
    return { ...place, first }
  })
}

/** The tensors of a step of a shape, views of the runner's buffers; `all` are to be disposed of. */
export function makeStepViews(
  buffers: StepBuffers,
  spec: DecoderSpec,
  plan: RunnerPlan,
  pageTable: Tensor,
  shape: StepShape,
): { views: StepViews; logits: Tensor | null; all: Tensor[] } {
  const { hiddenSize: C, vocabSize: V, perLayer } = spec
  const all: Tensor[] = []
  const view: StepBuffers['view'] = (name, dims, offset) => {
    const made = buffers.view(name, dims, offset)
    all.push(made)
    return made
  }
  const { prefillTokens, decodeTokens, rows } = shape
  const N = prefillTokens + decodeTokens
  const works = (name: 'prefillWork' | 'decodeWork', { plan: { visible }, first, items }: WorkPlace) =>
    new Map(
      visible.map(({ key, ...keys }, i) => {
        const work = view(name, [items, workWidth], (first + i * items) * workWidth)
        return [key, { work, ...keys }] as const
      }),
    )
  const calls = new Map<string, AttentionCall[]>([...plan.heads.keys()].map((key) => [key, []]))
  if (prefillTokens > 0)
    for (const place of prefillWork(plan, prefillTokens)) {
      const { H, D, Dv } = widths(place.plan.spec)
      calls.get(place.key)?.push({
        query: view('query', [prefillTokens, H, D]),
        output: view('attended', [prefillTokens, H * Dv]),
        tiling: place.plan.prefillTiling,
        splits: 1,
        states: null,
        works: works('prefillWork', place),
      })
    }
  if (decodeTokens > 0)
    for (const place of decodeWork(plan, decodeTokens, shape)) {
      const { H, D, Dv } = widths(place.plan.spec)
      const { tiling, splits } = place
      calls.get(place.key)?.push({
        query: view('query', [decodeTokens, H, D], prefillTokens * H * D),
        output: view('attended', [decodeTokens, H * Dv], prefillTokens * H * Dv),
        tiling,
        splits,
        states:
          splits === 1
            ? null
            : {
                states: view('states', [splits, decodeTokens, H, Dv]),
                stateSums: view('stateSums', [splits, 2, H, decodeTokens]),
                lse: view('lse', [H, decodeTokens]),
              },
        works: works('decodeWork', place),
      })
    }
  const heads = new Map(
    [...plan.heads].map(([key, { spec: attention }]): [string, HeadViews] => {
      const { H, D, Dv } = widths(attention)
      return [
        key,
        {
          qkv: view('qkv', [N, qkvWidth(attention)]),
          query: view('query', [N, H, D]),
          attended: view('attended', [N, H * Dv]),
          gate: new Map(gateWidths(spec).map((width) => [width, view('gate', [N, width])])),
          attention: calls.get(key) ?? [],
          latent: attention.latent ? latentViews(view, attention, attention.latent, N) : null,
        },
      ]
    }),
  )
  const laurelRanks = new Set(spec.layers.flatMap(({ laurel }) => laurel?.rank ?? []))
  const innerWidths = new Set(spec.layers.map(({ mlp }) => mlp.size))
  const views: StepViews = {
    ids: view('ids', [N]),
    positions: view('positions', [N]),
    slots: view('slots', [N]),
    recentSlots: view('recentSlots', [N]),
    pageTable,
    embedded: view('embedded', spec.embedding.norm ? [N, C] : [0, C]),
    x: view('x', [N, C]),
    h: view('h', [N, C]),
    y: view('y', needsSublayerBuffer(spec) ? [N, C] : [0, C]),
    z: view('z', needsBranchBuffer(spec) ? [N, C] : [0, C]),
    heads,
    inner: new Map([...innerWidths].map((size) => [size, view('inner', [N, size])])),
    mixtures: new Map(
      mixturesOf(spec).map((of) => [mixtureKey(of), mixtureViews(view, of, { N, C, kind: plan.stepLimits.kind })]),
    ),
    gates: new Map(
      [...new Set(spec.layers.map(({ mlp }) => (mlp.gateDeviations === undefined ? 0 : mlp.size)))]
        .filter((size) => size > 0)
        .map((size) => [size, view('gates', [N, 2 * size])]),
    ),
    laurel: new Map([...laurelRanks].map((rank) => [rank, view('laurel', [N, rank])])),
    streams: spec.streams ? streamsViews(view, spec.streams.count, N, C) : null,
    perLayer: perLayer
      ? {
          embeddings: view('perLayer', [N, spec.layers.length * perLayer.size]),
          projected: view('perLayerProjected', [N, spec.layers.length * perLayer.size]),
          gated: view('perLayerGated', [N, perLayer.size]),
        }
      : null,
    sharedGate: view('sharedGate', spec.layers.some(({ mixture }) => mixture?.sharedGate) ? [N, 1] : [0, 1]),
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

function streamsViews(view: StepBuffers['view'], S: number, N: number, C: number): StreamsViews {
  const each = (name: 'streams' | 'predictedStreams') =>
    Array.from({ length: S }, (_, s) => view(name, [N, C], s * N * C))
  return {
    all: view('streams', [S, N, C]),
    predicted: view('predictedStreams', [S, N, C]),
    each: each('streams'),
    eachPredicted: each('predictedStreams'),
    routed: view('streamsRouted', [N, S]),
    prediction: view('streamsPrediction', [N, S * S]),
    correction: view('streamsCorrection', [N, S]),
  }
}

function latentViews(
  view: StepBuffers['view'],
  attention: AttentionSpec,
  { query, valueDim }: LatentSpec,
  N: number,
): HeadViews['latent'] {
  return {
    queryDown: query && view('queryDown', [N, query.rank]),
    queryUp: query && view('expanded', [N, queryUpWidth(attention)]),
    // queries are in the pages' form by then
    output: view('expanded', [N, attention.numHeads * valueDim]),
  }
}

function mixturesOf({ layers }: DecoderSpec): MixtureSpec[] {
  return layers.flatMap(({ mixture }) => mixture ?? [])
}

/** Views of a mixture layer's buffers: flat, as large as its N tokens need. */
function mixtureViews(
  view: StepBuffers['view'],
  { experts, size: inner, routing: { perToken } }: MixtureSpec,
  { N, C, kind }: { readonly N: number; readonly C: number; readonly kind: DeviceKind },
): MixtureViews {
  const sizes = { tokens: N, experts, perToken, inner, hidden: C }
  const needs = mixtureBufferSpecs(kind, sizes, 'f32')
  const flat = (name: MixtureBufferName) => view(`experts.${name}`, [needs[name].elements])
  return {
    logits: view('routerLogits', [N, experts]),
    chosen: view('experts.chosen', [N, perToken]),
    weights: view('experts.weights', [N, perToken]),
    buffers: { inner: flat('inner'), outer: flat('outer'), position: flat('position'), list: flat('list') },
  }
}

/** The numbers of gates that layers have, each once. */
function gateWidths({ layers }: DecoderSpec): number[] {
  return [...new Set(layers.map(({ attention }) => gateWidth(attention)))].filter((width) => width > 0)
}

function widths(spec: AttentionSpec): { readonly H: number; readonly D: number; readonly Dv: number } {
  return { H: spec.numHeads, D: spec.headDim, Dv: valueWidth(spec) }
}
