import type { Device } from '../../device/device.ts'
import { weightShapes } from '../../model/architectures/weight-shapes.ts'
import type { Checkpoint } from '../../model/checkpoint.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { type AttentionVariant, attentionVariant } from '../attention-variants.ts'
import { ParameterStore, type ParameterStoreOptions } from '../parameter-store.ts'
import { type ComputeDType, computeDTypes } from '../precision.ts'
import {
  type Checkpointing,
  checkpointings,
  type PlannableModel,
  type PreparedModel,
  type StepInputs,
  type StepShape,
} from '../trainable-model.ts'
import { checkTrainable } from './check-trainable.ts'
import { decoderParameters } from './decoder-parameters.ts'
import { initialWeight } from './initial-weights.ts'
import { liveCheckpoint } from './live-checkpoint.ts'
import { type DecoderParts, prepareDecoder } from './prepare-decoder.ts'
import { variantParameters } from './variant-parameters.ts'

interface FreshWeights {
  readonly spec: DecoderSpec
  readonly seed: number
  readonly deviation?: number
}

export interface TrainableDecoderOptions {
  /** fresh weights from a seed for a specification, or those of a checkpoint */
  readonly from: FreshWeights | Checkpoint
  /** what activations and the copies of matrices are stored as (f32) */
  readonly precision?: ComputeDType
  /** how each parameter is updated; by default matrices and the rest alike, without decay */
  readonly rule?: ParameterStoreOptions['rule']
  /** how layers attend (full) */
  readonly attention?: AttentionVariant
  /** none */
  readonly checkpointing?: Checkpointing
  /** goes into what is exported; by default the checkpoint's */
  readonly tokenizer?: Tokenizer
}

/** A decoder-only transformer of any `DecoderSpec`, to be trained. */
export class TrainableDecoder implements PlannableModel {
  readonly device: Device
  readonly spec: DecoderSpec
  readonly parameters: ParameterStore
  readonly precision: ComputeDType
  readonly attention: AttentionVariant
  readonly checkpointing: Checkpointing
  readonly tokenizer: Tokenizer | undefined
  readonly #options: TrainableDecoderOptions

  /** Weights are undefined: `createTrainableDecoder` fills them. */
  constructor(device: Device, options: TrainableDecoderOptions) {
    const where = 'createTrainableDecoder'
    checkFields(where, 'options', options, fields)
    const { from, precision = 'f32', rule, checkpointing = 'none' } = options
    if (!('tokenizer' in from)) checkFields(where, 'from', from as FreshWeights, freshFields)
    checkChoice(where, 'precision', precision, computeDTypes)
    checkChoice(where, 'checkpointing', checkpointing, checkpointings)
    checkTrainable(where, from.spec)
    this.device = device
    this.#options = options
    this.spec = from.spec
    this.precision = precision
    this.attention = options.attention ?? attentionVariant('full')
    checkFields(where, 'attention', this.attention, variantFields)
    this.checkpointing = checkpointing
    this.tokenizer = options.tokenizer ?? ('tokenizer' in from ? from.tokenizer : undefined)
    this.parameters = new ParameterStore(device, {
      blocks: decoderParameters(from.spec, this.attention),
      compute: precision,
      ...(rule && { rule }),
    })
  }

  get vocabSize(): number {
    return this.spec.vocabSize
  }

  get learnedPositions(): number {
    return this.spec.embedding.learnedPositions ? this.spec.maxPositions : 0
  }

  get description(): Readonly<Record<string, string | number>> {
    const { architecture, vocabSize, hiddenSize, layers } = this.spec
    return {
      architecture,
      vocabSize,
      hiddenSize,
      layers: layers.length,
      attention: this.attention.name,
      precision: this.precision,
    }
  }

  /** `adapt`: computes with something in place of its linear layers, such as adapters beside them */
  async prepare(shape: StepShape, inputs: StepInputs, adapt?: DecoderParts['adapt']): Promise<PreparedModel> {
    const { length } = shape
    if (length > this.spec.maxPositions)
      throw new FoveaError(
        'capacity',
        'TrainableDecoder.prepare',
        `rows of ${length} tokens are longer than the ${this.spec.maxPositions} positions of the model`,
      )
    return prepareDecoder(adapt ? { ...this, adapt } : this, shape, inputs)
  }

  planned(device: Device, changes: { readonly checkpointing?: Checkpointing }): TrainableDecoder {
    checkFields('TrainableDecoder.planned', 'changes', changes, changeFields)
    return new TrainableDecoder(device, { ...this.#options, ...changes })
  }

  /**
   * The weights as they are now as a checkpoint, for export or an engine; `read` gives others, such as averages. Throws
   * `unsupported` where the attention has parameters of its own: no file of a model can say them.
   */
  checkpoint(read: (name: string) => Promise<Float32Array> = (name) => this.parameters.read(name)): Checkpoint {
    const own = variantParameters(this.spec, this.attention).map(({ name }) => name)
    if (own.length > 0)
      throw new FoveaError(
        'unsupported',
        'TrainableDecoder.checkpoint',
        `config.json and files of weights have no place for ${own.join(', ')}, parameters of the attention ${this.attention.name}, without which the model is another: trainer.save keeps them, parameters.read gives them, and liveCheckpoint takes weights that they were folded into`,
      )
    return liveCheckpoint({ spec: this.spec, read, tokenizer: this.tokenizer })
  }

  dispose(): void {
    this.parameters.dispose()
  }
}

/**
 * A decoder with its weights on the device. Rejects with `shape` where a checkpoint disagrees with its specification, with what
 * is wrong with parameters of the attention (`argument`, `shape`), and with what `Checkpoint`, `ParameterStore` and `Device.empty` throw.
 */
export async function createTrainableDecoder(
  device: Device,
  options: TrainableDecoderOptions,
): Promise<TrainableDecoder> {
  const { from } = options
  const decoder = new TrainableDecoder(device, options)
  try {
    const own = new Map(variantParameters(from.spec, decoder.attention).map(({ name, initial }) => [name, initial()]))
    const ofSpec = weightShapes(from.spec)
    for (const name of decoder.parameters.names) {
      const { shape } = decoder.parameters.get(name)
      const fresh = 'seed' in from ? from : { seed: 0 }
      const weight =
        own.get(name) ??
        ('seed' in from || !ofSpec.has(name)
          ? initialWeight(from.spec, name, shape, fresh)
          : shape.length === 2
            ? dequantizeRows(await from.matrix(name))
            : await from.vector(name))
      decoder.parameters.write(name, weight)
    }
    return decoder
  } catch (error) {
    decoder.dispose()
    throw error
  }
}

const freshFields: FieldsOf<FreshWeights> = { spec: true, seed: true, deviation: true }
const fields: FieldsOf<TrainableDecoderOptions> = {
  from: true,
  precision: true,
  rule: true,
  attention: true,
  checkpointing: true,
  tokenizer: true,
}
const variantFields: FieldsOf<AttentionVariant> = { name: true, gateDivisor: true, parameters: true, change: true }
const changeFields: FieldsOf<Parameters<PlannableModel['planned']>[1]> = { checkpointing: true }
