import type { Device, Tensor } from '../device/device.ts'
import { FoveaError } from '../tile/index.ts'
import type { Batch } from './data/batch.ts'
import { sortIds } from './tape/embedding.ts'
import type { StepInputs, StepShape } from './trainable-model.ts'

const where = 'trainer.step'

/** The tokens of a step on the device, written anew for every batch. */
export class StepBatch {
  readonly shape: StepShape
  readonly vocabSize: number
  readonly inputs: StepInputs
  readonly targets: Tensor // i32 [B · T]

  constructor(
    device: Device,
    {
      shape,
      vocabSize,
      documents,
    }: { readonly shape: StepShape; readonly vocabSize: number; readonly documents: boolean },
  ) {
    this.shape = shape
    this.vocabSize = vocabSize
    const { batch, length } = shape
    const count = batch * length
    this.inputs = {
      tokens: {
        ids: device.zeros([count], 'i32'),
        order: device.zeros([count], 'i32'),
        starts: device.zeros([vocabSize + 1], 'i32'),
      },
      documents: documents ? device.zeros([batch, length], 'i32') : null,
    }
    this.targets = device.zeros([count], 'i32')
  }

  /** bytes on the device */
  get bytes(): number {
    return this.#all().reduce((sum, { size }) => sum + 4 * size, 0)
  }

  /**
   * How many tokens of a batch have a target. Throws `shape` for another number of tokens, `argument` for documents that are
   * missing or unexpected, and for a token that the vocabulary has not.
   */
  check({ inputs, targets, documents }: Batch): number {
    const { batch, length } = this.shape
    for (const [name, list] of Object.entries({ inputs, targets, documents }))
      if (list && list.length !== batch * length)
        throw new FoveaError(
          'shape',
          where,
          `${name} of a batch must be ${batch} · ${length} numbers, got ${list.length}`,
        )
    const expected = this.inputs.documents !== null
    if ((documents !== undefined) !== expected)
      throw new FoveaError(
        'argument',
        where,
        `a batch came with${documents ? '' : 'out'} document numbers, the first one with${expected ? '' : 'out'}`,
      )
    this.#checkTokens('inputs', inputs, 0)
    this.#checkTokens('targets', targets, -1)
    let count = 0
    for (const target of targets) if (target >= 0) count++
    return count
  }

  /** Writes a batch that was checked. */
  write({ inputs, targets, documents }: Batch): void {
    const { ids, order, starts } = this.inputs.tokens
    const sorted = sortIds(inputs, this.vocabSize)
    ids.write(inputs)
    order.write(sorted.order)
    starts.write(sorted.starts)
    this.targets.write(targets)
    if (documents) this.inputs.documents?.write(documents)
  }

  dispose(): void {
    for (const tensor of this.#all()) tensor.dispose()
  }

  #checkTokens(name: string, ids: Int32Array, least: number): void {
    for (let i = 0, id = ids[0]; id !== undefined; id = ids[++i])
      if (!(id >= least && id < this.vocabSize))
        throw new FoveaError(
          'argument',
          where,
          `${name}[${i}] is ${id}, which is no token of the model's vocabulary of ${this.vocabSize}`,
        )
  }

  #all(): Tensor[] {
    const { tokens, documents } = this.inputs
    return [...Object.values(tokens), ...(documents ? [documents] : []), this.targets]
  }
}
