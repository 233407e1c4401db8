import type { Device, Recording, Tensor } from '../device/device.ts'
import { settingsRow, settingsWidth } from '../nn/sampling/sampling-settings.ts'
import { defineProgram, load, type Program, store } from '../tile/index.ts'
import type { MovingAverage } from './averaging/moving-average.ts'
import { type ClipOptions, clipScratch, enqueueClip } from './clip.ts'
import type { Batch } from './data/batch.ts'
import { type Optimizer, stepFields, stepIndex } from './optimizers/optimizer.ts'
import type { ParameterGroup } from './parameters.ts'
import { StepBatch } from './step-batch.ts'
import { addTotals } from './step-totals.ts'
import { crossEntropy } from './tape/cross-entropy.ts'
import { drawTargets } from './tape/draw-targets.ts'
import { Tape } from './tape/tape.ts'
import type { PreparedModel, StepShape, TrainableModel } from './trainable-model.ts'
import { clearFlat } from './update-flat.ts'
import { Workspace } from './workspace.ts'

export interface TrainingStepOptions {
  readonly model: TrainableModel
  readonly shape: StepShape
  /** whether batches bring document numbers */
  readonly documents: boolean
  /** of each group */
  readonly optimizerOf: (group: ParameterGroup) => Optimizer
  /** null: not clipped */
  readonly maxNorm: number | null
  readonly averaging: MovingAverage | null
  /** those of the step before, where rows of another length follow; fresh ones by default */
  readonly states?: OptimizerStates
}

/** Of each group, by the names that optimiser and average give. */
export type OptimizerStates = ReadonlyMap<ParameterGroup, Readonly<Record<string, Tensor>>>

/** What the host writes of a step. */
export interface StepNumbers {
  readonly learningRate: number
  /** counted from 1 */
  readonly step: number
  readonly lossScale: number
}

/** What a step tells when it is done. */
export interface StepReport {
  /** sum of the losses, in nats */
  readonly loss: number
  /** targets that had the highest logit */
  readonly correct: number
  /** of the gradients before clipping */
  readonly gradientNorm: number
  /** nothing was changed, because the norm was not finite */
  readonly skipped: boolean
}

/**
 * The kernels of a training step, recorded once: `begin`, then `add` for each batch whose gradients are summed, then `update`.
 * They enqueue and return; `report` is read when somebody wants to know.
 */
export class TrainingStep {
  readonly #batch: StepBatch
  readonly #prepared: PreparedModel
  readonly #workspace: Workspace
  readonly #own: Tensor[] = []
  readonly #recordings: Recording[] = []
  readonly #begin: Recording
  readonly #micro: Recording
  readonly #update: Recording
  readonly #exchange: Recording | null
  readonly #switch: Recording | null
  readonly #curvature: { readonly kernels: Recording; readonly seeds: Tensor; readonly every: number } | null = null
  readonly #step: Tensor
  readonly #factor: Tensor
  readonly #report: Tensor
  /** what a saved run holds besides weights */
  readonly states: OptimizerStates

  static async create(device: Device, options: TrainingStepOptions): Promise<TrainingStep> {
    const { model, shape, documents } = options
    const batch = new StepBatch(device, { shape, model, documents })
    let prepared: PreparedModel | null = null
    try {
      prepared = await model.prepare(shape, batch.inputs)
      const step = new TrainingStep(device, options, batch, prepared)
      await Promise.all(step.#recordings.map((recording) => recording.prepare()))
      return step
    } catch (error) {
      prepared?.dispose()
      batch.dispose()
      throw error
    }
  }

  private constructor(device: Device, options: TrainingStepOptions, batch: StepBatch, prepared: PreparedModel) {
    const { model, shape, optimizerOf, maxNorm, averaging } = options
    const { groups } = model.parameters
    this.#batch = batch
    this.#prepared = prepared
    this.#workspace = new Workspace(device)
    const own = (size: readonly number[], dtype: 'f32' | 'i32' = 'f32') => {
      const tensor = device.zeros(size, dtype)
      this.#own.push(tensor)
      return tensor
    }
    const tokens = shape.batch * shape.length
    const [losses, correct] = [own([tokens]), own([tokens], 'i32')]
    const [step, totals, norm] = [own([stepFields.length]), own([2]), own([1])]
    this.#step = step
    this.#factor = own([1])
    this.#report = own([4])
    const factor = this.#factor
    this.states =
      options.states ??
      new Map(
        groups.map((group) => {
          const names = [...optimizerOf(group).states, ...(averaging?.states ?? [])]
          return [group, Object.fromEntries(names.map((name) => [name, device.zeros([group.size])]))]
        }),
      )
    const memory = (group: ParameterGroup) => ({ states: this.states.get(group) ?? {}, scratch: {}, step })
    if (averaging && !options.states) for (const group of groups) averaging.start(device, group, memory(group))

    this.#begin = this.#record(device, () => {
      for (const { gradient } of groups) clearFlat(device, gradient)
      clearFlat(device, totals)
    })
    this.#micro = this.#record(device, () => {
      const tape = new Tape(this.#workspace)
      const hidden = prepared.hidden(tape)
      crossEntropy(tape, hidden, { head: prepared.head, targets: batch.targets, factor, losses, correct })
      tape.release(hidden)
      tape.backward()
      addTotals(device, { losses, correct, totals })
    })
    const estimates = groups.flatMap((group) => {
      const { curvature } = optimizerOf(group)
      return curvature ? [{ group, curvature }] : []
    })
    if (estimates.length > 0) {
      const drawn = own([tokens], 'i32')
      const settings = device.tensor(Array.from({ length: tokens }, () => settingsRow({})).flat(), [
        tokens,
        settingsWidth,
      ])
      const seeds = device.zeros([tokens, 2], 'u32')
      this.#own.push(settings, seeds)
      const kernels = this.#record(device, () => {
        const tape = new Tape(this.#workspace)
        const hidden = prepared.hidden(tape)
        const { head } = prepared
        drawTargets(tape, hidden, { head, targets: batch.targets, seeds, settings, drawn })
        crossEntropy(tape, hidden, { head, targets: drawn, factor, losses })
        tape.release(hidden)
        tape.backward()
        this.#enqueueClip(device, { groups, maxNorm: null, step, norm })
        for (const { group, curvature } of estimates) curvature.enqueue(device, group, memory(group))
      })
      this.#curvature = { kernels, seeds, every: Math.min(...estimates.map(({ curvature }) => curvature.every)) }
    }
    this.#update = this.#record(device, () => {
      // activations are gone: their memory serves the optimisers
      this.#enqueueClip(device, { groups, maxNorm, step, norm })
      for (const group of groups) this.#enqueueUpdate(device, optimizerOf(group), group)
      if (averaging) for (const group of groups) averaging.enqueue(device, group, memory(group))
      device.run({ program: reportProgram, grid: [1, 1, 1], scalars: {} }, { totals, norm, step, report: this.#report })
    })
    this.#exchange =
      averaging &&
      this.#record(device, () => {
        for (const group of groups) averaging.enqueueExchange(device, group, memory(group))
      })
    this.#switch =
      averaging &&
      this.#record(device, () => {
        for (const group of groups) averaging.enqueueSwitch(device, group, memory(group))
      })
  }

  /** bytes of activations, optimiser states and what else a step needs beside the parameters */
  get bytes(): { readonly activations: number; readonly states: number; readonly other: number } {
    const all = this.#own.reduce((sum, { size }) => sum + 4 * size, 0)
    const states = [...this.states.values()].reduce(
      (sum, group) => sum + Object.values(group).reduce((bytes, { size }) => bytes + 4 * size, 0),
      0,
    )
    return {
      activations: this.#workspace.bytes.held,
      states,
      other: all + this.#batch.bytes + this.#prepared.bytes,
    }
  }

  /** kernels of a step of one batch */
  get kernels(): number {
    return [this.#begin, this.#micro, this.#update].reduce((sum, { kernels }) => sum + kernels, 0)
  }

  /** Enqueues the beginning: gradients and totals become zero. `count`: targets of all batches that will follow. */
  begin({ learningRate, step, lossScale }: StepNumbers, count: number): void {
    const numbers = new Float32Array(stepFields.length)
    numbers[stepIndex('learningRate')] = learningRate
    numbers[stepIndex('step')] = step
    numbers[stepIndex('lossScale')] = lossScale
    numbers[stepIndex('predictions')] = count
    this.#step.write(numbers)
    this.#factor.write(Float32Array.of(lossScale / Math.max(1, count)))
    this.#begin.run()
  }

  /** How many targets a batch has. Throws what `StepBatch.check` throws. */
  check(batch: Batch): number {
    return this.#batch.check(batch)
  }

  /** Enqueues the gradients of a batch that was checked. */
  add(batch: Batch): void {
    this.#batch.write(batch)
    this.#micro.run()
  }

  /** steps between estimates of curvature, null for an optimiser that needs none */
  get curvatureEvery(): number | null {
    return this.#curvature?.every ?? null
  }

  /** Enqueues an estimate of the loss's curvature from a batch that was checked, before `begin` of the same step. */
  estimateCurvature(numbers: StepNumbers, batch: Batch): void {
    if (!this.#curvature) return
    const { kernels, seeds } = this.#curvature
    const tokens = seeds.shape[0] as number
    seeds.write(Uint32Array.from({ length: 2 * tokens }, (_, i) => (i % 2 ? numbers.step : i / 2)))
    this.begin(numbers, this.#batch.check(batch))
    this.#batch.write(batch)
    kernels.run()
  }

  /** Enqueues that training goes on from the average of the weights. */
  switchToAverage(): void {
    this.#switch?.run()
  }

  /** Enqueues that weights and their averages change places. */
  exchangeAverage(): void {
    this.#exchange?.run()
  }

  /** Enqueues the update; what comes tells of the step when it is done. */
  async update(): Promise<StepReport> {
    this.#update.run()
    const [loss = 0, correct = 0, gradientNorm = 0, skip = 0] = await this.#report.read()
    return { loss, correct, gradientNorm, skipped: skip !== 0 }
  }

  /** Frees what the step made. `keepStates`: for another step to go on with. */
  dispose(options: { readonly keepStates?: boolean } = {}): void {
    if (!options.keepStates)
      for (const states of this.states.values()) for (const tensor of Object.values(states)) tensor.dispose()
    for (const recording of this.#recordings) recording.dispose()
    for (const tensor of this.#own) tensor.dispose()
    this.#workspace.dispose()
    this.#prepared.dispose()
    this.#batch.dispose()
  }

  #record(device: Device, work: () => void): Recording {
    const recording = device.record(work)
    this.#workspace.releaseViews()
    this.#recordings.push(recording)
    return recording
  }

  #enqueueClip(device: Device, options: Omit<ClipOptions, 'scratch'>): void {
    const scratch = this.#workspace.take([clipScratch(options.groups)])
    enqueueClip(device, { ...options, scratch })
    this.#workspace.give(scratch)
  }

  #enqueueUpdate(device: Device, optimizer: Optimizer, group: ParameterGroup): void {
    const wanted = Object.entries(optimizer.scratch?.(group) ?? {})
    const scratch = Object.fromEntries(
      wanted.map(([name, { shape, dtype }]) => [name, this.#workspace.take(shape, dtype)]),
    )
    optimizer.enqueue(device, group, { states: this.states.get(group) ?? {}, scratch, step: this.#step })
    for (const tensor of Object.values(scratch)) this.#workspace.give(tensor)
  }
}

/** report = (loss, correct, norm, skip): one read for all that the host wants to know. */
const reportProgram: Program = defineProgram('step-report', (p) => {
  const totals = p.input('totals', 'f32', [2])
  const norm = p.input('norm', 'f32', [1])
  const step = p.input('step', 'f32', [stepFields.length])
  const report = p.output('report', 'f32', [4])
  const values = [load(totals, [0]), load(totals, [1]), load(norm, [0]), load(step, [stepIndex('skip')])]
  for (const [i, value] of values.entries()) p.emit(store(report, [i], value))
})
