import type { Device, Tensor } from '../device/device.ts'
import { dequantizeRows } from '../nn/block-formats/matrix-values.ts'
import { type HeadWeight, placeHeadWeight } from '../nn/head-weight.ts'
import { type LinearWeight, placeLinear } from '../nn/place-linear.ts'
import type { XieluNumbers } from '../nn/xielu.ts'
import type { Checkpoint, WeightSource } from './checkpoint.ts'
import type { AttentionSpec, DecoderSpec, LatentSpec, LayerSpec, MlpSpec, NormSpec } from './decoder-spec.ts'
import { type PlacedRope, placeRope, ropeKey } from './place-rope.ts'
import { loadMixture, type PlacedMixture } from './placed-mixture.ts'
import type { PlacedNorm } from './placed-norm.ts'
import { loadPerLayer, type PlacedPerLayer } from './placed-per-layer.ts'
import { loadStreams, type PlacedStreams } from './placed-streams.ts'
import { readXielu } from './read-xielu.ts'
import { headNormSize, mlpName, qkvGroups, upParts } from './weight-groups.ts'

/** A linear layer whose outputs begin at a column of a wider tensor. */
export interface LinearPart {
  readonly weight: LinearWeight
  readonly column: number
}

export interface PlacedMlp {
  readonly spec: MlpSpec
  /** gate and up in one when gated, else up */
  readonly up: LinearWeight
  readonly down: LinearWeight
  readonly xielu: XieluNumbers | null
}

export interface PlacedLayer {
  readonly spec: LayerSpec
  readonly norms: { readonly [Name in keyof LayerSpec['norms']]: PlacedNorm | null }
  /** queries, keys and values: one part, or several where a file stores them in different formats */
  readonly qkv: readonly LinearPart[]
  readonly queryNorm: Tensor | null
  readonly keyNorm: Tensor | null
  readonly sinkLogits: Tensor | null // [H]
  readonly alibiSlopes: Tensor | null // [H]
  /** of what attention gives */
  readonly gate: LinearWeight | null
  readonly attentionOutput: LinearWeight
  /** null in a mixture without a shared expert */
  readonly mlp: PlacedMlp | null
  readonly mixture: PlacedMixture | null
  readonly rope: PlacedRope | null
  readonly latent: PlacedLatent | null
  /** factor of what the layer gives */
  readonly outputScale: number | null
  readonly laurel: { readonly down: LinearWeight; readonly up: LinearWeight; readonly norm: PlacedNorm } | null
}

/** What latent attention has beside its projections of the layer's input, which are `qkv`. */
export interface PlacedLatent {
  readonly query: { readonly norm: PlacedNorm; readonly up: LinearWeight } | null
  readonly norm: PlacedNorm
  readonly up: HeadWeight
}

/** The weights of a decoder on a device. */
export interface DecoderWeights {
  readonly spec: DecoderSpec
  readonly embedding: LinearWeight
  readonly positionTable: Tensor | null // f32 [P, C]
  readonly embeddingNorm: PlacedNorm | null
  readonly layers: readonly PlacedLayer[]
  readonly perLayer: PlacedPerLayer | null
  readonly streams: PlacedStreams | null
  readonly finalNorm: PlacedNorm
  readonly head: LinearWeight
  dispose(): void
}

/**
 * Reads the weights of a checkpoint and puts them on a device, one after the other, as they are stored; rotary tables reach
 * to `maxPositions`. Rejects with what `Checkpoint` and `placeLinear` throw, after freeing what was placed.
 */
export async function loadDecoderWeights(
  device: Device,
  checkpoint: Checkpoint,
  options: { readonly maxPositions: number; readonly signal?: AbortSignal },
): Promise<DecoderWeights> {
  const loader = new WeightLoader(device, checkpoint)
  try {
    return await loader.decoder(checkpoint.spec, options)
  } catch (error) {
    loader.dispose()
    throw error
  }
}

/** Places weights one after the other, and frees them all. */
export class WeightLoader {
  readonly device: Device
  readonly #checkpoint: WeightSource
  readonly #owned: { dispose(): void }[] = []
  readonly #ropes = new Map<string, PlacedRope>()

  constructor(device: Device, checkpoint: WeightSource) {
    this.device = device
    this.#checkpoint = checkpoint
  }

  async decoder(
    spec: DecoderSpec,
    options: { readonly maxPositions: number; readonly signal?: AbortSignal },
  ): Promise<DecoderWeights> {
    const embedding = await this.linear('tokenEmbedding', ['tokenEmbedding'], false)
    const { learnedPositions, firstPosition = 0, norm } = spec.embedding
    const positionTable = learnedPositions ? await this.#table('positionEmbedding', firstPosition) : null
    const embeddingNorm = norm ? await this.norm('embeddingNorm', norm, spec.hiddenSize) : null
    const layers: PlacedLayer[] = []
    for (const [i, layer] of spec.layers.entries()) {
      options.signal?.throwIfAborted()
      layers.push(await this.layer(`layers.${i}`, layer, spec.hiddenSize, options.maxPositions))
    }
    const sizes = { numLayers: layers.length, hiddenSize: spec.hiddenSize }
    const perLayer = spec.perLayer ? await loadPerLayer(this, spec.perLayer, sizes) : null
    const streams = spec.streams ? await loadStreams(this, spec.streams, sizes) : null
    const finalNorm = await this.norm('finalNorm', spec.finalNorm, spec.hiddenSize, spec.logits.scale)
    const head = spec.logits.tied ? embedding : await this.linear('lmHead', ['lmHead'], spec.logits.bias)
    const dispose = () => this.dispose()
    return { spec, embedding, positionTable, embeddingNorm, layers, perLayer, streams, finalNorm, head, dispose }
  }

  dispose(): void {
    for (const thing of this.#owned.splice(0)) thing.dispose()
  }

  async layer(name: string, spec: LayerSpec, hiddenSize: number, maxPositions: number): Promise<PlacedLayer> {
    const { attention, mlp, norms } = spec
    const norm = async (key: keyof LayerSpec['norms']) => {
      const wanted = norms[key]
      return wanted ? await this.norm(`${name}.norms.${key}`, wanted, hiddenSize) : null
    }
    const qkv: LinearPart[] = []
    for (const { parts, column } of qkvGroups(this.#checkpoint, name, attention))
      qkv.push({ weight: await this.linear(`${name}.attention.qkv`, parts, attention.qkvBias), column })
    const part = (sublayer: string, bias: boolean) => this.linear(`${name}.${sublayer}`, [`${name}.${sublayer}`], bias)
    const { qkNorm } = attention
    const headNorm = async (which: 'queryNorm' | 'keyNorm') =>
      qkNorm && headNormSize(attention, which) > 0
        ? (await this.norm(`${name}.attention.${which}`, qkNorm.norm, headNormSize(attention, which))).weight
        : null
    return {
      spec,
      norms: {
        beforeAttention: await norm('beforeAttention'),
        afterAttention: await norm('afterAttention'),
        beforeMlp: await norm('beforeMlp'),
        afterMlp: await norm('afterMlp'),
      },
      qkv,
      queryNorm: await headNorm('queryNorm'),
      keyNorm: await headNorm('keyNorm'),
      sinkLogits: attention.sinks ? await this.vector(`${name}.attention.sinks`) : null,
      alibiSlopes: attention.alibiSlopes
        ? this.own(this.device.tensor(Float32Array.from(attention.alibiSlopes), [attention.numHeads]))
        : null,
      gate: attention.gate ? await part('attention.outputGate', false) : null,
      attentionOutput: await part('attention.output', attention.outputBias),
      mlp: mlp.size > 0 ? await this.#mlp(mlpName(name, spec), mlp) : null,
      mixture: spec.mixture ? await loadMixture(this, this.#checkpoint, `${name}.mixture`, spec.mixture) : null,
      rope: attention.rope && this.#rope(attention.rope, maxPositions),
      latent: attention.latent ? await this.#latent(`${name}.attention`, attention, attention.latent) : null,
      laurel: spec.laurel
        ? {
            down: await part('laurel.down', false),
            up: await part('laurel.up', false),
            norm: await this.norm(`${name}.laurel.norm`, spec.laurel.norm, hiddenSize),
          }
        : null,
      outputScale: spec.outputScale ? await this.#number(`${name}.outputScale`) : null,
    }
  }

  async #latent(name: string, { numHeads }: AttentionSpec, { query, norm, rank, nopeDim }: LatentSpec) {
    const matrix = await this.#checkpoint.matrix(`${name}.latentUp`)
    return {
      query: query && {
        norm: await this.norm(`${name}.queryDownNorm`, query.norm, query.rank),
        up: await this.linear(`${name}.queryUp`, [`${name}.queryUp`], false),
      },
      norm: await this.norm(`${name}.latentNorm`, norm, rank),
      up: this.own(placeHeadWeight(this.device, { name: `${name}.latentUp`, matrix, numHeads, split: nopeDim })),
    }
  }

  async #mlp(name: string, spec: MlpSpec): Promise<PlacedMlp> {
    return {
      spec,
      up: await this.linear(`${name}.up`, upParts(name, spec), spec.bias),
      down: await this.linear(`${name}.down`, [`${name}.down`], spec.bias),
      xielu: spec.learnedActivation ? await readXielu(this.#checkpoint, name) : null,
    }
  }

  async linear(name: string, parts: readonly string[], bias: boolean): Promise<LinearWeight> {
    const matrices = []
    for (const part of parts) matrices.push(await this.#checkpoint.matrix(part))
    const biases: Float32Array[] = []
    if (bias) for (const part of parts) biases.push(await this.#checkpoint.vector(`${part}.bias`))
    return this.own(placeLinear(this.device, { name, parts: matrices, bias: bias ? joined(biases) : null }))
  }

  /** `factor` goes into weight and bias, which then have no offset beside them. */
  async norm(name: string, spec: NormSpec, size: number, factor = 1): Promise<PlacedNorm> {
    const weight = spec.weightless ? new Float32Array(size).fill(1 - spec.offset) : await this.#checkpoint.vector(name)
    const bias = spec.bias ? await this.#checkpoint.vector(`${name}.bias`) : null
    const place = (data: Float32Array) => this.own(this.device.tensor(data, [data.length]))
    if (factor === 1) return { spec, weight: place(weight), bias: bias && place(bias) }
    return {
      spec: { ...spec, offset: 0 },
      weight: place(weight.map((w) => (w + spec.offset) * factor)),
      bias: bias && place(bias.map((b) => b * factor)),
    }
  }

  async vector(name: string): Promise<Tensor> {
    const data = await this.#checkpoint.vector(name)
    return this.own(this.device.tensor(data, [data.length]))
  }

  async #number(name: string): Promise<number> {
    const [value] = await this.#checkpoint.vector(name)
    return value as number
  }

  ones(size: number): Tensor {
    return this.own(this.device.tensor(new Float32Array(size).fill(1), [size]))
  }

  /** A table from its row `first` on. */
  async #table(name: string, first: number): Promise<Tensor> {
    const { rows, cols } = this.#checkpoint.matrixInfo(name)
    const values = dequantizeRows(await this.#checkpoint.matrix(name)).subarray(first * cols)
    return this.own(this.device.tensor(values, [rows - first, cols]))
  }

  /** Layers that turn alike share their tables. */
  #rope(spec: NonNullable<LayerSpec['attention']['rope']>, maxPositions: number): PlacedRope {
    const key = ropeKey(spec)
    const known = this.#ropes.get(key)
    if (known) return known
    const placed = this.own(placeRope(this.device, spec, maxPositions))
    this.#ropes.set(key, placed)
    return placed
  }

  own<T extends { dispose(): void }>(thing: T): T {
    this.#owned.push(thing)
    return thing
  }
}

function joined(vectors: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(vectors.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const vector of vectors) {
    all.set(vector, at)
    at += vector.length
  }
  return all
}
