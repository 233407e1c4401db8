import type { Device, Recording, Tensor } from '../../device/device.ts'
import { randomNumbers } from '../data/random-numbers.ts'
import { StepBatch } from '../step-batch.ts'
import { Tape } from '../tape/tape.ts'
import type { PreparedModel, TrainableModel } from '../trainable-model.ts'
import { Workspace } from '../workspace.ts'

/** What a model in training expects next, for reports: one row at a time, logits on the host. Its weights are those of the time it was made. */
export class TokenPredictor {
  readonly length: number
  readonly #batch: StepBatch
  readonly #prepared: PreparedModel
  readonly #workspace: Workspace
  readonly #recording: Recording
  readonly #hidden: Tensor
  readonly #weight: Float32Array
  readonly #bias: Float32Array | null

  /** For rows of up to `length` tokens. Rejects with what the model's `prepare` and `Device.run` reject with. */
  static async create(device: Device, model: TrainableModel, length: number): Promise<TokenPredictor> {
    const batch = new StepBatch(device, { shape: { batch: 1, length }, model, documents: false })
    const prepared = await model.prepare(batch.shape, batch.inputs)
    const { weight, bias } = prepared.head
    const numbers = async (tensor: Tensor) => Float32Array.from((await tensor.read()) as Float32Array)
    return new TokenPredictor(
      device,
      batch,
      prepared,
      await numbers(weight.weight),
      bias && (await numbers(bias.weight)),
    )
  }

  private constructor(
    device: Device,
    batch: StepBatch,
    prepared: PreparedModel,
    weight: Float32Array,
    bias: Float32Array | null,
  ) {
    this.length = batch.shape.length
    this.#batch = batch
    this.#prepared = prepared
    this.#workspace = new Workspace(device)
    this.#weight = weight
    this.#bias = bias
    let hidden: Tensor | undefined
    this.#recording = device.record(() => {
      hidden = prepared.hidden(new Tape(this.#workspace, { recording: false })).value
    })
    this.#hidden = hidden as unknown as Tensor
  }

  /** The most likely token behind each of some places of a row. */
  async mostLikely(tokens: readonly number[], places: readonly number[]): Promise<readonly number[]> {
    const hidden = await this.#run(tokens)
    return places.map((place) => {
      const logits = this.#logits(hidden, place)
      return logits.indexOf(logits.reduce((most, logit) => Math.max(most, logit)))
    })
  }

  /** Continues a row by `count` tokens drawn at a temperature, or until `end` or the length is reached. */
  async continueRow(
    tokens: readonly number[],
    options: {
      readonly count: number
      readonly temperature: number
      readonly seed: number
      readonly end: readonly number[]
    },
  ): Promise<readonly number[]> {
    const random = randomNumbers(options.seed)
    const row = [...tokens]
    while (row.length < Math.min(tokens.length + options.count, this.length)) {
      const logits = this.#logits(await this.#run(row), row.length - 1)
      const most = logits.reduce((a, b) => Math.max(a, b))
      const weights = logits.map((logit) => Math.exp((logit - most) / options.temperature))
      let rest = random() * weights.reduce((sum, weight) => sum + weight, 0)
      const token = weights.findIndex((weight) => {
        rest -= weight
        return rest < 0
      })
      if (options.end.includes(token)) break
      row.push(Math.max(0, token))
    }
    return row.slice(tokens.length)
  }

  dispose(): void {
    this.#recording.dispose()
    this.#workspace.dispose()
    this.#prepared.dispose()
    this.#batch.dispose()
  }

  async #run(tokens: readonly number[]): Promise<Float32Array> {
    const inputs = new Int32Array(this.length)
    inputs.set(tokens.slice(0, this.length))
    const targets = new Int32Array(this.length).fill(-1)
    this.#batch.write({ inputs, targets })
    this.#recording.run()
    return Float32Array.from((await this.#hidden.read()) as Float32Array)
  }

  #logits(hidden: Float32Array, place: number): Float32Array {
    const width = hidden.length / this.length
    const state = hidden.subarray(place * width, (place + 1) * width)
    const { softCap } = this.#prepared.head
    return Float32Array.from({ length: this.#weight.length / width }, (_, token) => {
      let sum = this.#bias?.[token] ?? 0
      for (let i = 0; i < width; i++) sum += (state[i] as number) * (this.#weight[token * width + i] as number)
      return softCap === null ? sum : softCap * Math.tanh(sum / softCap)
    })
  }
}
