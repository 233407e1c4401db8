import type { Device, Tensor } from '../../device/device.ts'
import type { AttentionSpec, DecoderSpec, LayerSpec, NormSpec } from '../../model/decoder-spec.ts'
import { type PlacedRope, placeRope, ropeKey } from '../../model/place-rope.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { AttentionKernel } from '../attention-kernel.ts'
import type { AttentionChange, AttentionVariant } from '../attention-variants.ts'
import type { ParameterStore } from '../parameter-store.ts'
import type { ComputeDType } from '../precision.ts'
import { activation } from '../tape/activation.ts'
import type { CapturedWeights } from '../tape/captured-weights.ts'
import { checkpoint } from '../tape/checkpoint.ts'
import { embed, sortIds, type TableRows } from '../tape/embedding.ts'
import { linear } from '../tape/linear.ts'
import { norm, type TapeNorm } from '../tape/norm.ts'
import { TapeCore } from '../tape/tape-core.ts'
import type { TapeWeight } from '../tape/tape-weight.ts'
import type { Variable } from '../tape/variable.ts'
import type { PreparedModel, StepInputs, StepShape } from '../trainable-model.ts'
import { attend, type DecoderAttention } from './decoder-attention.ts'
import { type DecoderLayer, decoderLayer, type TapeLinear } from './decoder-layer.ts'
import { gateName } from './decoder-parameters.ts'
import { attendLinear, logDecayOf } from './linear-attention.ts'
import { prepareAttention } from './prepare-attention.ts'
import { capturedWeights, checkCaptured, variantWeights } from './variant-parameters.ts'

/** What of a decoder its computation is made from. */
export interface DecoderParts {
  readonly device: Device
  readonly spec: DecoderSpec
  readonly parameters: ParameterStore
  readonly precision: ComputeDType
  readonly attention: AttentionVariant
  readonly checkpointing: 'none' | 'layer' | 'sqrt'
  /** what is computed in place of the linear layers of a block, which begins with this matrix */
  readonly adapt?: (first: string, linear: TapeLinear) => TapeLinear
}

/** Makes tables and attention for rows of one length, and the layers over them. Rejects with what they reject with, after freeing what was made. */
export async function prepareDecoder(
  parts: DecoderParts,
  shape: StepShape,
  inputs: StepInputs,
): Promise<PreparedModel> {
  const maker = new DecoderMaker(parts, shape, inputs)
  try {
    return await maker.make()
  } catch (error) {
    maker.dispose()
    throw error
  }
}

class DecoderMaker {
  readonly #parts: DecoderParts
  readonly #shape: StepShape
  readonly #inputs: StepInputs
  readonly #owned: { dispose(): void }[] = []
  readonly #ropes = new Map<string, PlacedRope>()
  readonly #kernels = new Map<string, LayerKernel>()
  #bytes = 0

  constructor(parts: DecoderParts, shape: StepShape, inputs: StepInputs) {
    this.#parts = parts
    this.#shape = shape
    this.#inputs = inputs
  }

  async make(): Promise<PreparedModel> {
    const { spec, parameters, precision, checkpointing } = this.#parts
    const positions = this.#positions()
    const layers: DecoderLayer[] = []
    for (const [i, layer] of spec.layers.entries()) layers.push(await this.#layer(`layers.${i}`, layer, positions.ids))
    const finalNorm = this.#norm('finalNorm', spec.finalNorm)
    const head = spec.logits.tied ? 'tokenEmbedding' : 'lmHead'
    const learned = spec.embedding.learnedPositions
      ? { table: parameters.get('positionEmbedding'), rows: this.#inputs.positions ?? positions }
      : null
    const run = (tape: TapeCore, x: Variable, from: number, to: number): Variable => {
      let state = x
      for (const layer of layers.slice(from, to)) {
        const next = decoderLayer(tape, state, layer)
        if (state !== x) tape.release(state)
        state = next
      }
      return state
    }
    const stride =
      checkpointing === 'none' ? 0 : checkpointing === 'layer' ? 1 : Math.max(1, Math.round(Math.sqrt(layers.length)))
    return {
      hidden: (tape) => {
        let x = embed(tape, {
          table: parameters.get('tokenEmbedding'),
          rows: this.#inputs.tokens,
          scale: spec.embedding.scale,
          ...(learned && { positions: learned }),
          dtype: precision,
        })
        const fork = (recording: boolean) => new TapeCore(tape.workspace, { recording })
        for (let from = 0; from < layers.length; from += stride || layers.length) {
          const to = Math.min(layers.length, from + (stride || layers.length))
          const next = stride
            ? checkpoint(tape, fork, x, (inner, x) => run(inner, x, from, to))
            : run(tape, x, from, to)
          tape.release(x)
          x = next
        }
        const hidden = norm(tape, x, finalNorm)
        tape.release(x)
        return hidden
      },
      head: {
        weight: parameters.get(head),
        bias: spec.logits.bias ? parameters.get(`${head}.bias`) : null,
        softCap: spec.logits.softCap,
      },
      bytes: this.#bytes,
      dispose: () => this.dispose(),
    }
  }

  dispose(): void {
    for (const thing of this.#owned.splice(0)) thing.dispose()
  }

  async #layer(name: string, spec: LayerSpec, positions: Tensor): Promise<DecoderLayer> {
    const { attention, mlp, norms } = spec
    const normOf = (key: keyof LayerSpec['norms']) => {
      const of = norms[key]
      return of && this.#norm(`${name}.norms.${key}`, of)
    }
    return {
      spec,
      norms: {
        beforeAttention: normOf('beforeAttention'),
        afterAttention: normOf('afterAttention'),
        beforeMlp: normOf('beforeMlp'),
        afterMlp: normOf('afterMlp'),
      },
      qkv: this.#linear(`${name}.attention.query`, attention.qkvBias),
      attention: await this.#attention(name, spec, positions),
      attentionOutput: this.#linear(`${name}.attention.output`, attention.outputBias),
      up: this.#linear(mlp.gated ? `${name}.mlp.gate` : `${name}.mlp.up`, mlp.bias),
      down: this.#linear(`${name}.mlp.down`, mlp.bias),
    }
  }

  async #attention(name: string, { attention }: LayerSpec, positions: Tensor): Promise<DecoderLayer['attention']> {
    const { gateDivisor } = this.#parts.attention
    if (gateDivisor !== undefined) return this.#linearAttention(name, attention, gateDivisor)
    const { kernel, change, captured } = await this.#kernel(name, attention)
    const { qkNorm } = attention
    const of: DecoderAttention = {
      spec: attention,
      ...this.#shape,
      kernel,
      rope: attention.rope && change.rope !== false ? this.#rope(attention.rope) : null,
      queryNorm: qkNorm && this.#norm(`${name}.attention.queryNorm`, qkNorm.norm),
      keyNorm: qkNorm && this.#norm(`${name}.attention.keyNorm`, qkNorm.norm),
      positions,
      captured,
    }
    return (tape, qkv) => attend(tape, qkv, of)
  }

  #linearAttention(name: string, spec: AttentionSpec, gateDivisor: number): DecoderLayer['attention'] {
    const { numHeads, numKvHeads, qkNorm, window } = spec
    const { documents } = this.#inputs
    if (numHeads !== numKvHeads || qkNorm || window !== null || documents)
      throw new FoveaError(
        'unsupported',
        'TrainableDecoder.prepare',
        `${name}: linear attention takes heads of one kind without norms and windows, and rows of one document, got ${numHeads} heads and ${numKvHeads} of keys${qkNorm ? ', normalised' : ''}${window === null ? '' : `, a window of ${window}`}${documents ? ', documents' : ''}`,
      )
    const gate = this.#linear(gateName(name), true)
    const logDecay = logDecayOf(gateDivisor)
    return (tape, qkv, h) => {
      const gates = gate(tape, h)
      const decays = activation(tape, gates, logDecay)
      const y = attendLinear(tape, qkv, decays, { spec, ...this.#shape })
      tape.release(gates, decays)
      return y
    }
  }

  /** The block that begins with this matrix. */
  #linear(name: string, bias: boolean): TapeLinear {
    const { parameters, adapt } = this.#parts
    const weight = parameters.joined(name)
    const vector = bias ? parameters.joined(`${name}.bias`) : null
    const plain: TapeLinear = (tape, x) => linear(tape, x, weight, vector)
    return adapt?.(name, plain) ?? plain
  }

  #norm(name: string, spec: NormSpec): TapeNorm {
    const { parameters } = this.#parts
    return { spec, weight: parameters.get(name), bias: spec.bias ? parameters.get(`${name}.bias`) : null }
  }

  /** Layers that attend alike share their kernels, each with weights of its own: one of them runs at a time. */
  async #kernel(name: string, spec: AttentionSpec): Promise<LayerKernel & { captured: CapturedWeights }> {
    const { numHeads, numKvHeads, headDim, scale, softCap, window, rope, qkNorm } = spec
    const { device, attention, precision, parameters } = this.#parts
    const own = variantWeights(parameters, attention, name)
    const shapes = Object.values(own).map(({ weight }) => weight.shape.join('x'))
    const key = [numHeads, numKvHeads, headDim, scale, softCap, window, rope === null, qkNorm === null, ...shapes].join(
      ' ',
    )
    const known = this.#kernels.get(key)
    if (known) return { ...known, captured: capturedWeights(known.own, own) }
    const tensors = Object.fromEntries(Object.entries(own).map(([of, { weight }]) => [of, weight]))
    const change = attention.change(spec, (data) => this.#constant(data, [data.length]), tensors)
    checkFields('TrainableDecoder.prepare', `what attention ${attention.name} changes`, change, changeFields)
    const { documents } = this.#inputs
    const apart = qkNorm !== null || (rope !== null && change.rope !== false)
    const asked = { shape: this.#shape, dtype: precision, documents, change, apart }
    const kernel = await prepareAttention(device, spec, asked)
    this.#owned.push(kernel)
    checkCaptured(attention, kernel.captured, own, this.#owned)
    this.#bytes += kernel.scratchBytes
    const made = { kernel, change, own }
    this.#kernels.set(key, made)
    return { ...made, captured: capturedWeights(own, own) }
  }

  #rope(spec: NonNullable<AttentionSpec['rope']>): PlacedRope {
    const key = ropeKey(spec)
    const known = this.#ropes.get(key)
    if (known) return known
    const placed = placeRope(this.#parts.device, spec, this.#shape.length)
    this.#owned.push(placed)
    this.#bytes += 4 * placed.tables.table.size
    this.#ropes.set(key, placed)
    return placed
  }

  /** Positions 0 … T − 1 of every row, and where each of them is. Rotations need no others: only distances count. */
  #positions(): TableRows {
    const { batch, length } = this.#shape
    const ids = Int32Array.from({ length: batch * length }, (_, i) => i % length)
    const { order, starts } = sortIds(ids, this.#parts.spec.maxPositions)
    const place = (data: Int32Array) => this.#constant(data, [data.length])
    return { ids: place(ids), order: place(order), starts: place(starts) }
  }

  #constant(data: Float32Array | Int32Array, shape: readonly number[]): Tensor {
    const tensor = this.#parts.device.tensor(data, shape)
    this.#owned.push(tensor)
    this.#bytes += 4 * tensor.size
    return tensor
  }
}

interface LayerKernel {
  readonly kernel: AttentionKernel
  readonly change: AttentionChange
  /** the variant's parameters of the layer that it was prepared with */
  readonly own: Readonly<Record<string, TapeWeight>>
}

const changeFields: FieldsOf<AttentionChange> = { maskMod: true, scoreMod: true, normalizer: true, rope: true }
