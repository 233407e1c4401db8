import { projectedWidth } from '../cache/write-pages-spec.ts'
import type { Device, Tensor } from '../device/device.ts'
import type { DeviceKind } from '../device/device-info.ts'
import { type MixtureBufferName, mixtureBufferSpecs } from '../nn/experts/mixture-plan.ts'
import { type StorageDType, storageBytes } from '../tile/index.ts'
import type { AttentionSpec, DecoderSpec } from './decoder-spec.ts'
import type { MixtureSpec } from './mixture-spec.ts'
import { outputWidth, projectedOf, valueWidth } from './value-width.ts'

/** The largest step that a runner makes, which all of its buffers are allocated for. */
export interface StepLimits {
  /** tokens of all sequences together */
  readonly tokens: number
  /** tokens among them whose logits are asked for */
  readonly rows: number
  /** elements of attention states: splits · tokens of decode · heads · head width, and their sums */
  readonly stateElements: number
  readonly stateRows: number
  /** rows of work for prefill and for decode, of all kinds of layers together */
  readonly prefillItems: number
  readonly decodeItems: number
  readonly workWidth: number
  readonly kind: DeviceKind
}

/** dtypes of a step's tensors: what layers read (`compute`) and queries; the residual stream is f32. */
export interface StepDTypes {
  readonly compute: 'f32' | 'f16'
  readonly query: 'f32' | 'f16' | 'bf16'
}

export type StepBufferName =
  | 'ids'
  | 'positions'
  | 'slots'
  | 'recentSlots'
  | 'embedded'
  | 'x'
  | 'h'
  | 'y'
  | 'z'
  | 'qkv'
  | 'query'
  | 'attended'
  | 'gate'
  | 'queryDown'
  | 'expanded'
  | 'inner'
  | 'gates'
  | 'laurel'
  | 'streams'
  | 'predictedStreams'
  | 'streamsRouted'
  | 'streamsPrediction'
  | 'streamsCorrection'
  | 'perLayer'
  | 'perLayerProjected'
  | 'perLayerGated'
  | 'sharedGate'
  | 'routerLogits'
  | `experts.${MixtureBufferName}`
  | 'rowIndices'
  | 'gathered'
  | 'hidden'
  | 'logits'
  | 'states'
  | 'stateSums'
  | 'lse'
  | 'prefillWork'
  | 'decodeWork'

interface BufferSpec {
  readonly elements: number
  readonly dtype: StorageDType
}

/** Elements and dtype of every buffer of a step: what `plan` prints is what is allocated. */
export function stepBufferSpecs(
  spec: DecoderSpec,
  limits: StepLimits,
  dtypes: StepDTypes,
): Readonly<Record<StepBufferName, BufferSpec>> {
  const { hiddenSize, vocabSize, layers } = spec
  const { tokens, rows } = limits
  const [perLayer, streams] = [spec.perLayer?.size ?? 0, spec.streams?.count ?? 0]
  const widest = (width: (layer: (typeof layers)[number]) => number) =>
    layers.reduce((most, layer) => Math.max(most, width(layer)), 0)
  const query = widest(({ attention: { numHeads, headDim } }) => numHeads * headDim)
  const attended = widest(({ attention }) => attention.numHeads * valueWidth(attention))
  const qkv = widest(({ attention }) => qkvWidth(attention))
  const i32 = (elements: number) => ({ elements, dtype: 'i32' as const })
  const f32 = (elements: number) => ({ elements, dtype: 'f32' as const })
  const compute = (elements: number) => ({ elements, dtype: dtypes.compute })
  return {
    ids: i32(tokens),
    positions: i32(tokens),
    slots: i32(tokens),
    recentSlots: i32(tokens),
    embedded: f32(spec.embedding.norm ? tokens * hiddenSize : 0),
    x: f32(tokens * hiddenSize),
    h: compute(tokens * hiddenSize),
    y: compute(needsSublayerBuffer(spec) ? tokens * hiddenSize : 0),
    z: compute(needsBranchBuffer(spec) ? tokens * hiddenSize : 0),
    qkv: f32(tokens * qkv),
    query: { elements: tokens * query, dtype: dtypes.query },
    attended: compute(tokens * attended),
    gate: compute(tokens * widest(({ attention }) => gateWidth(attention))),
    queryDown: compute(tokens * widest(({ attention: { latent } }) => latent?.query?.rank ?? 0)),
    expanded: compute(tokens * widest(({ attention }) => expandedWidth(attention))),
    inner: compute(tokens * widest(({ mlp }) => mlp.size)),
    gates: compute(tokens * widest(({ mlp }) => (mlp.gateDeviations === undefined ? 0 : 2 * mlp.size))),
    laurel: compute(tokens * widest(({ laurel }) => laurel?.rank ?? 0)),
    streams: f32(tokens * streams * hiddenSize),
    predictedStreams: f32(tokens * streams * hiddenSize),
    streamsRouted: f32(tokens * streams),
    streamsPrediction: f32(tokens * streams * streams),
    streamsCorrection: f32(tokens * streams),
    perLayer: compute(tokens * perLayer * layers.length),
    perLayerProjected: compute(tokens * perLayer * layers.length),
    perLayerGated: compute(tokens * perLayer),
    sharedGate: compute(layers.some(({ mixture }) => mixture?.sharedGate) ? tokens : 0),
    ...mixtureBuffers(spec, limits, dtypes),
    rowIndices: i32(rows),
    gathered: f32(rows * hiddenSize),
    hidden: compute(rows * hiddenSize),
    logits: f32(rows * vocabSize),
    states: f32(limits.stateElements),
    stateSums: f32(2 * limits.stateRows),
    lse: f32(limits.stateRows),
    prefillWork: i32(limits.prefillItems * limits.workWidth),
    decodeWork: i32(limits.decodeItems * limits.workWidth),
  }
}

/** Is something of a sublayer kept beside x and h: what a normalisation or a factor after it reads, or its input in a parallel layer? */
export function needsSublayerBuffer({ layers, perLayer, streams }: DecoderSpec): boolean {
  if (perLayer || streams) return true
  return layers.some(
    ({ norms, parallel, branchScale, mixture, laurel }) =>
      parallel ||
      norms.afterAttention !== null ||
      norms.afterMlp !== null ||
      branchScale !== undefined ||
      mixture?.branches !== undefined ||
      laurel !== undefined,
  )
}

/** Are results of two branches of a layer normalised apart, or several streams added to? */
export function needsBranchBuffer({ layers, streams }: DecoderSpec): boolean {
  return streams !== undefined || layers.some(({ mixture, laurel }) => mixture?.branches !== undefined || laurel)
}

const mixtureNames: readonly MixtureBufferName[] = ['chosen', 'weights', 'inner', 'outer', 'position', 'list']

/** What the largest of all mixture layers needs, buffer by buffer. */
function mixtureBuffers(
  { layers, hiddenSize: hidden }: DecoderSpec,
  { tokens, kind }: StepLimits,
  { compute }: StepDTypes,
): Record<'routerLogits' | `experts.${MixtureBufferName}`, BufferSpec> {
  const kinds = new Map(layers.flatMap(({ mixture }) => (mixture ? [[mixtureKey(mixture), mixture] as const] : [])))
  const specs = [...kinds.values()]
  const needs = specs.map(({ experts, size: inner, routing: { perToken } }) =>
    mixtureBufferSpecs(kind, { tokens, experts, perToken, inner, hidden }, compute),
  )
  const largest = (name: MixtureBufferName): BufferSpec => ({
    elements: needs.reduce((most, need) => Math.max(most, need[name].elements), 0),
    dtype: needs[0]?.[name].dtype ?? 'i32',
  })
  const logits = tokens * specs.reduce((most, { experts }) => Math.max(most, experts), 0)
  const named = mixtureNames.map((name) => [`experts.${name}`, largest(name)] as const)
  return { routerLogits: { elements: logits, dtype: 'f32' }, ...fromEntries(named) }
}

function fromEntries<K extends string>(entries: readonly (readonly [K, BufferSpec])[]): Record<K, BufferSpec> {
  return Object.fromEntries(entries) as Record<K, BufferSpec>
}

/** Equal for mixture layers of one size. */
export function mixtureKey({ experts, size, routing }: MixtureSpec): string {
  return [experts, size, routing.perToken].join(' × ')
}

/** Queries, keys and values of a token in a layer. */
export function qkvWidth(spec: AttentionSpec): number {
  const { latent } = spec
  if (latent) return (latent.query?.rank ?? queryUpWidth(spec)) + spec.headDim
  return projectedWidth(projectedOf(spec), { ...spec, valueDim: valueWidth(spec) })
}

/** Queries of a token of latent attention, before they meet the latent. */
export function queryUpWidth({ numHeads, latent }: AttentionSpec): number {
  return latent ? numHeads * (latent.nopeDim + latent.ropeDim) : 0
}

/** What latent attention keeps of a token beside others: its queries where they come of a latent, then what its heads give. */
function expandedWidth(spec: AttentionSpec): number {
  const { latent, numHeads } = spec
  return latent ? Math.max(latent.query ? queryUpWidth(spec) : 0, numHeads * latent.valueDim) : 0
}

/** How many gates a token has in a layer. */
export function gateWidth(spec: AttentionSpec): number {
  if (!spec.gate) return 0
  return spec.gate.per === 'head' ? spec.numHeads : spec.numHeads * outputWidth(spec)
}

/** Bytes of all buffers of a step. */
export function stepBufferBytes(spec: DecoderSpec, limits: StepLimits, dtypes: StepDTypes): number {
  return Object.values(stepBufferSpecs(spec, limits, dtypes)).reduce(
    (sum, { elements, dtype }) => sum + Math.max(4, elements * storageBytes[dtype]),
    0,
  )
}

/** The buffers of a step, flat; views of them are made for each shape of step. */
export class StepBuffers {
  readonly #tensors: ReadonlyMap<StepBufferName, Tensor>

  constructor(device: Device, spec: DecoderSpec, limits: StepLimits, dtypes: StepDTypes) {
    const made = new Map<StepBufferName, Tensor>()
    this.#tensors = made
    try {
      for (const [name, { elements, dtype }] of Object.entries(stepBufferSpecs(spec, limits, dtypes)))
        made.set(name as StepBufferName, device.zeros([elements], dtype))
    } catch (error) {
      this.dispose()
      throw error
    }
  }

  /** The first elements of a buffer, from `offset` on, in a shape. */
  view(name: StepBufferName, shape: readonly number[], offset = 0): Tensor {
    return (this.#tensors.get(name) as Tensor).view({ shape, offset })
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose()
  }
}
