import type { Device } from '../../device/device.ts'
import type { TrainConfig } from '../config/train-config.ts'
import { batchesOf } from '../data/rows.ts'
import { Evaluator } from '../evaluator.ts'
import type { EvaluationRecord } from '../report/run-record.ts'
import type { TrainableModel } from '../trainable-model.ts'
import type { HeldOutRows } from './run-data.ts'

/** Judges a model in training by held-out rows, the same ones each time. */
export class HeldOutJudge {
  readonly #evaluator: Evaluator
  readonly #config: TrainConfig
  readonly #heldOut: readonly HeldOutRows[]
  readonly #hasDocuments: boolean

  /** Rejects with what `Evaluator.create` rejects with. */
  static async create(
    device: Device,
    model: TrainableModel,
    config: TrainConfig,
    heldOut: readonly HeldOutRows[],
  ): Promise<HeldOutJudge> {
    const { batch, length } = config
    const documents = heldOut.some(({ rows }) => rows.hasDocuments)
    const evaluator = await Evaluator.create({ device, model, shape: { batch, length }, documents })
    return new HeldOutJudge(evaluator, config, heldOut, documents)
  }

  private constructor(
    evaluator: Evaluator,
    config: TrainConfig,
    heldOut: readonly HeldOutRows[],
    hasDocuments: boolean,
  ) {
    this.#evaluator = evaluator
    this.#config = config
    this.#heldOut = heldOut
    this.#hasDocuments = hasDocuments
  }

  /** What the weights as they are now reach after so many steps. */
  async judge(step: number): Promise<readonly EvaluationRecord[]> {
    const { batch, evaluate } = this.#config
    const records: EvaluationRecord[] = []
    for (const { name, rows, count, bytesPerToken } of this.#heldOut) {
      const most = count === null ? evaluate.batches : Math.ceil(count / batch)
      const source = batchesOf({ ...rows, hasDocuments: this.#hasDocuments }, batch)
      const { loss, accuracy } = await this.#evaluator.run(source, Math.min(evaluate.batches, most))
      const bitsPerByte = bytesPerToken === null ? {} : { bitsPerByte: loss / Math.LN2 / bytesPerToken }
      records.push({ step, heldOut: name, loss, accuracy, ...bitsPerByte })
    }
    return records
  }

  dispose(): void {
    this.#evaluator.dispose()
  }
}
