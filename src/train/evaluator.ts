import type { Device, Recording, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import type { BatchSource } from './data/batch.ts'
import { StepBatch } from './step-batch.ts'
import { addTotals } from './step-totals.ts'
import { crossEntropy } from './tape/cross-entropy.ts'
import { Tape } from './tape/tape.ts'
import type { PreparedModel, StepShape, TrainableModel } from './trainable-model.ts'
import { clearFlat } from './update-flat.ts'
import { Workspace } from './workspace.ts'

/** How well a model foretells. */
export interface Evaluation {
  /** mean over the tokens with a target, in nats */
  readonly loss: number
  /** part of these tokens whose logit was the highest */
  readonly accuracy: number
  /** tokens with a target */
  readonly count: number
}

export interface EvaluatorOptions {
  readonly device: Device
  readonly model: TrainableModel
  readonly shape: StepShape
  /** whether batches bring document numbers (false) */
  readonly documents?: boolean
}

/** Computes losses without gradients, for batches of one shape. The weights are those that the model has when it is asked. */
export class Evaluator {
  readonly #batch: StepBatch
  readonly #prepared: PreparedModel
  readonly #workspace: Workspace
  readonly #own: Tensor[]
  readonly #totals: Tensor
  readonly #recording: Recording

  /** Rejects with what the model's `prepare` and `Device.run` reject with. */
  static async create(options: EvaluatorOptions): Promise<Evaluator> {
    checkFields('Evaluator.create', 'options', options, fields)
    const { device, model, shape, documents = false } = options
    const batch = new StepBatch(device, { shape, model, documents })
    try {
      const prepared = await model.prepare(shape, batch.inputs)
      const evaluator = new Evaluator(device, batch, prepared)
      await evaluator.#recording.prepare()
      return evaluator
    } catch (error) {
      batch.dispose()
      throw error
    }
  }

  private constructor(device: Device, batch: StepBatch, prepared: PreparedModel) {
    const tokens = batch.shape.batch * batch.shape.length
    const losses = device.zeros([tokens])
    const correct = device.zeros([tokens], 'i32')
    const factor = device.zeros([1])
    this.#batch = batch
    this.#prepared = prepared
    this.#workspace = new Workspace(device)
    this.#totals = device.zeros([2])
    this.#own = [losses, correct, factor, this.#totals]
    this.#recording = device.record(() => {
      const tape = new Tape(this.#workspace, { recording: false })
      clearFlat(device, this.#totals)
      const hidden = prepared.hidden(tape)
      crossEntropy(tape, hidden, { head: prepared.head, targets: batch.targets, factor, losses, correct })
      tape.finish()
      addTotals(device, { losses, correct, totals: this.#totals })
    })
    this.#workspace.releaseViews()
  }

  /** Mean loss and accuracy over the next `batches` of a source. Rejects with `argument` where none of them has a target. */
  async run(source: BatchSource, batches: number): Promise<Evaluation> {
    let [loss, correct, count] = [0, 0, 0]
    for (let i = 0; i < batches; i++) {
      const batch = source.next()
      count += this.#batch.check(batch)
      this.#batch.write(batch)
      this.#recording.run()
      const [losses = 0, right = 0] = await this.#totals.read()
      loss += losses
      correct += right
    }
    if (count === 0) throw new FoveaError('argument', 'evaluator.run', `${batches} batches have no targets`)
    return { loss: loss / count, accuracy: correct / count, count }
  }

  dispose(): void {
    this.#recording.dispose()
    for (const tensor of this.#own) tensor.dispose()
    this.#workspace.dispose()
    this.#prepared.dispose()
    this.#batch.dispose()
  }
}

const fields: FieldsOf<EvaluatorOptions> = { device: true, model: true, shape: true, documents: true }
