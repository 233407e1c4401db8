import type { Tensor } from '../device/device.ts'
import { FoveaError } from '../tile/index.ts'
import type { Batch, JsonValue } from './data/batch.ts'
import { checkMemory } from './plan-training.ts'
import { initialLossScale, type LossScale, nextLossScale } from './precision.ts'
import { readRunState, writeRunState } from './run-state.ts'
import type { StepResult } from './step-result.ts'
import type { PlannableModel, TrainableModel } from './trainable-model.ts'
import { type CheckedTrainerOptions, checkTrainerOptions, type TrainerOptions } from './trainer-options.ts'
import { type CheckedStage, describeStages, stageAt } from './training-stages.ts'
import { type StepNumbers, type StepReport, TrainingStep, type TrainingStepOptions } from './training-step.ts'

/** A step under way, or done and not yet looked at. */
interface PendingStep {
  readonly step: number
  report: Promise<Pick<StepReport, 'skipped'>>
}

/** Of a step whose batches have no targets: it says nothing about the loss scale. */
const nothingLearnt: Promise<StepReport> = Promise.resolve({ loss: 0, correct: 0, gradientNorm: 0, skipped: true })

/** Steps whose outcome the loss scale of the next does not wait for: a GPU goes on meanwhile. */
const lag = 1

/**
 * Makes a trainer: prepares the model for the source's batches, and records a step. Rejects with `argument` naming the field,
 * `memory` where it cannot fit, said with the plan before anything is allocated, and with what the model's `prepare` and `Device.run` throw.
 */
export async function createTrainer(options: TrainerOptions): Promise<Trainer> {
  const checked = checkTrainerOptions(options)
  const { device, model, memoryLimit } = options
  const stage = stageAt(checked.stages, 1)
  const first = stepOptions(options, checked, stage)
  if (isPlannable(model))
    for (const one of checked.stages) {
      const recorded = one === stage ? first : stepOptions(options, checked, one)
      await checkMemory({ ...recorded, device, model }, memoryLimit)
    }
  const step = await TrainingStep.create(device, first)
  return new Trainer(options, checked, { stage, step })
}

/** What a step with the batches of a stage is recorded from. */
function stepOptions(
  { model, averaging }: TrainerOptions,
  { optimizerOf, maxNorm }: CheckedTrainerOptions,
  { source }: CheckedStage,
): TrainingStepOptions {
  // what the first batch is like, all are; it is taken again by the first step
  const state = source.state()
  const { documents } = source.next()
  source.restore(state)
  const shape = { batch: source.batch, length: source.length }
  return { model, shape, documents: documents !== undefined, optimizerOf, maxNorm, averaging: averaging ?? null }
}

function isPlannable(model: TrainableModel): model is PlannableModel {
  return 'planned' in model
}

/**
 * Trains a model: each step takes batches from the source, finds the gradients of their mean loss, clips them and updates all
 * weights once. What a step computes is recorded when the trainer is made, and replayed.
 *
 *     const trainer = await createTrainer({ device, model, source, optimizer: adamw(), learningRate: 1e-3 })
 *     for (let step = 0; step < 1000; step++) console.log(await trainer.step())
 */
export class Trainer {
  readonly #options: TrainerOptions
  readonly #checked: CheckedTrainerOptions
  #step: TrainingStep
  #stage: CheckedStage
  #steps = 0
  #scale: LossScale
  #pending: PendingStep[] = []
  #lastDone = performance.now()
  #failure: unknown = null
  /** what was asked for is done in turn */
  #turn: Promise<unknown> = Promise.resolve()

  /** Use `createTrainer`. */
  constructor(
    options: TrainerOptions,
    checked: CheckedTrainerOptions,
    { stage, step }: { readonly stage: CheckedStage; readonly step: TrainingStep },
  ) {
    this.#options = options
    this.#checked = checked
    this.#step = step
    this.#stage = stage
    this.#scale = initialLossScale(checked.precision)
  }

  /** steps enqueued so far */
  get steps(): number {
    return this.#steps
  }

  /** bytes on the device: parameters with their gradients, optimiser states, activations, the rest */
  get bytes(): {
    readonly parameters: number
    readonly states: number
    readonly activations: number
    readonly other: number
  } {
    return { parameters: this.#options.model.parameters.bytes, ...this.#step.bytes }
  }

  /** kernels of a step of one batch */
  get kernels(): number {
    return this.#step.kernels
  }

  /**
   * One step; resolves when it is done. The next may be asked for before that, which keeps a GPU busy. Rejects with `argument`
   * for tokens that the model has not, and for a loss that is NaN or infinite: the run then ends, and what was saved last is
   * good; `cancelled` by the signal.
   */
  async step(): Promise<StepResult> {
    const { step, count, tokens, learningRate, lossScale, report } = await this.#inTurn(() => this.#enqueue())
    const { loss, correct, gradientNorm, skipped } = await report
    const now = performance.now()
    const seconds = (now - this.#lastDone) / 1000
    this.#lastDone = now
    if (!Number.isFinite(loss)) {
      this.#failure ??= new FoveaError(
        'argument',
        'trainer.step',
        `the loss of step ${step} is ${loss}: the run ends here. Its weights are those before the step; a lower learning rate than ${learningRate} may help`,
      )
      throw this.#failure
    }
    return {
      step,
      loss: count === 0 ? 0 : loss / count,
      accuracy: count === 0 ? 0 : correct / count,
      targets: count,
      gradientNorm,
      learningRate,
      lossScale,
      skipped,
      tokens,
      seconds,
    }
  }

  /**
   * Saves the run into a folder, where it replaces the one saved before once it is whole on the disk: weights, states of the
   * optimisers, where the data stands. A run made the same way goes on from it bit for bit. Rejects with `io`, and with the
   * failure of a run that failed.
   */
  async save(folder: string): Promise<void> {
    await this.#inTurn(async () => {
      const skipped = await Promise.all(this.#pending.map(async ({ report }) => (await report).skipped))
      if (this.#failure) throw this.#failure
      const source = stageAt(this.#checked.stages, this.#steps + 1).source.state()
      const progress = { steps: this.#steps, ...this.#scale, skipped, source }
      await writeRunState(folder, { configuration: this.#configuration(), progress }, this.#tensors())
    })
  }

  /**
   * Goes on where a saved run stood. Rejects with `io` where there is none, `format` naming what is wrong or differs; then
   * nothing has changed.
   */
  async resume(folder: string): Promise<void> {
    await this.#inTurn(async () => {
      await readRunState(folder, this.#configuration(), this.#tensors(), (progress) => {
        const { steps, scale, goodSteps, skipped, source } = savedProgress(progress)
        stageAt(this.#checked.stages, steps + 1).source.restore(source)
        this.#steps = steps
        this.#scale = { scale, goodSteps }
        this.#pending = skipped.map((skip, i) => ({
          step: steps - skipped.length + 1 + i,
          report: Promise.resolve({ skipped: skip }),
        }))
      })
      this.#options.model.parameters.refresh()
    })
  }

  /**
   * Does `work` while the weights are their averages, where the trainer keeps some; then training goes on from the weights
   * as they were. `work` must not ask the trainer for anything.
   */
  async withAverages<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      this.#step.exchangeAverage()
      try {
        return await work()
      } finally {
        this.#step.exchangeAverage()
      }
    })
  }

  /** Frees what the trainer made; the model is the caller's. */
  dispose(): void {
    this.#step.dispose()
  }

  async #enqueue() {
    const { signal, learningRate: base, schedule } = this.#options
    if (this.#failure) throw this.#failure
    if (signal?.aborted) throw new FoveaError('cancelled', 'trainer.step', `given up after ${this.#steps} steps`)
    // the same outcomes are looked at before every step, whether or not later ones are already known
    while (this.#pending.length > lag) {
      const { report } = this.#pending.shift() as PendingStep
      this.#scale = nextLossScale(this.#checked.precision, this.#scale, (await report).skipped)
    }
    const step = this.#steps + 1
    await this.#enterStage(stageAt(this.#checked.stages, step))
    const { source, accumulate } = this.#stage
    const batches = Array.from({ length: accumulate }, () => source.next())
    const counts = batches.map((batch) => this.#step.check(batch))
    const count = counts.reduce((sum, targets) => sum + targets, 0)
    const learningRate = base * (schedule?.(step) ?? 1)
    const lossScale = this.#scale.scale
    const { curvatureEvery } = this.#step
    const taught = batches.filter((_, i) => counts[i] !== 0)
    if (curvatureEvery !== null && (step - 1) % curvatureEvery === 0 && taught[0])
      this.#step.estimateCurvature({ learningRate, step, lossScale }, taught[0])
    const report = taught.length > 0 ? this.#update({ learningRate, step, lossScale }, count, taught) : nothingLearnt
    const switchEvery = this.#options.averaging?.switchEvery
    if (switchEvery && step % switchEvery === 0) this.#step.switchToAverage()
    this.#steps = step
    return { step, count, tokens: accumulate * source.batch * source.length, learningRate, lossScale, report }
  }

  /** Enqueues what batches with targets teach. */
  #update(numbers: StepNumbers, count: number, batches: readonly Batch[]): Promise<StepReport> {
    this.#step.begin(numbers, count)
    for (const batch of batches) this.#step.add(batch)
    const report = this.#step.update()
    // whoever waits for the step is told
    report.catch(() => {})
    this.#pending.push({ step: numbers.step, report })
    return report
  }

  /** Records steps for the batches of another stage, which go on with the states of the optimisers. */
  async #enterStage(stage: CheckedStage): Promise<void> {
    if (stage === this.#stage) return
    const { device } = this.#options
    await Promise.all(this.#pending.map(({ report }) => report))
    const { states } = this.#step
    this.#step.dispose({ keepStates: true })
    this.#step = await TrainingStep.create(device, { ...stepOptions(this.#options, this.#checked, stage), states })
    this.#stage = stage
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  #configuration(): Readonly<Record<string, JsonValue>> {
    const { model } = this.#options
    const groups = model.parameters.groups.map((group) => {
      const { name, states } = this.#checked.optimizerOf(group)
      const parameters = group.parameters.map((parameter) => `${parameter.name} [${parameter.shape.join(', ')}]`)
      return { name: group.name, optimizer: name, states: [...states], parameters }
    })
    return { model: { ...model.description }, groups, stages: describeStages(this.#checked.stages) }
  }

  /** All that must survive, by name. */
  #tensors(): ReadonlyMap<string, Tensor> {
    const tensors = new Map<string, Tensor>()
    for (const group of this.#options.model.parameters.groups) {
      tensors.set(`${group.name}.weight`, group.weight)
      for (const [state, tensor] of Object.entries(this.#step.states.get(group) ?? {}))
        tensors.set(`${group.name}.${state}`, tensor)
    }
    return tensors
  }
}

interface SavedProgress extends LossScale {
  readonly steps: number
  readonly skipped: readonly boolean[]
  readonly source: JsonValue
}

function savedProgress(progress: Readonly<Record<string, JsonValue>>): SavedProgress {
  const { steps, scale, goodSteps, skipped, source } = progress
  const counts = [steps, goodSteps].every((count) => Number.isSafeInteger(count) && (count as number) >= 0)
  const sound = counts && typeof scale === 'number' && Array.isArray(skipped) && source !== undefined
  if (sound) return progress as unknown as SavedProgress
  throw new FoveaError('format', 'trainer.resume', `a saved run has no such progress: ${JSON.stringify(progress)}`)
}
