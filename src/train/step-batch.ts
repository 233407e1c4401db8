import type { Device, Tensor } from '../device/device.ts'
import { FoveaError } from '../tile/index.ts'
import type { Batch } from './data/batch.ts'
import { sortIds, type TableRows } from './tape/embedding.ts'
import type { StepInputs, StepShape, TrainableModel } from './trainable-model.ts'

const where = 'trainer.step'

/** The tokens of a step on the device, written anew for every batch. */
export class StepBatch {
  readonly shape: StepShape
  readonly vocabSize: number
  readonly inputs: StepInputs
  readonly targets: Tensor // i32 [B · T]
  readonly #positions: number

  constructor(
    device: Device,
    {
      shape,
      model,
      documents,
    }: {
      readonly shape: StepShape
      readonly model: Pick<TrainableModel, 'vocabSize' | 'learnedPositions'>
      readonly documents: boolean
    },
  ) {
    const { vocabSize, learnedPositions = 0 } = model
    this.shape = shape
    this.vocabSize = vocabSize
    this.#positions = learnedPositions
    const { batch, length } = shape
    const count = batch * length
    const rowsOf = (size: number): TableRows => ({
      ids: device.zeros([count], 'i32'),
      order: device.zeros([count], 'i32'),
      starts: device.zeros([size + 1], 'i32'),
    })
    this.inputs = {
      tokens: rowsOf(vocabSize),
      positions: documents && learnedPositions > 0 ? rowsOf(learnedPositions) : null,
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
    writeRows(this.inputs.tokens, inputs, this.vocabSize)
    this.targets.write(targets)
    if (!documents) return
    this.inputs.documents?.write(documents)
    const { positions } = this.inputs
    if (positions) writeRows(positions, placesInDocuments(documents, this.shape.length), this.#positions)
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
    const { tokens, documents, positions } = this.inputs
    const all = [tokens, ...(positions ? [positions] : [])].flatMap((rows) => Object.values(rows) as Tensor[])
    return [...all, ...(documents ? [documents] : []), this.targets]
  }
}

function writeRows({ ids, order, starts }: TableRows, rows: Int32Array, size: number): void {
  const sorted = sortIds(rows, size)
  ids.write(rows)
  order.write(sorted.order)
  starts.write(sorted.starts)
}

/**
 * How many tokens of the same document stand before each in its row: positions begin anew with every document, as if it had
 * a row of its own, and with every row for one that goes on from another row.
 */
function placesInDocuments(documents: Int32Array, length: number): Int32Array {
  const seen = new Map<number, number>()
  return documents.map((document, at) => {
    if (at % length === 0) seen.clear()
    const place = seen.get(document) ?? 0
    seen.set(document, place + 1)
    return place
  })
}
