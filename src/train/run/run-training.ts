import type { Device } from '../../device/device.ts'
import { exportSafetensors } from '../../model/export/export-safetensors.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { FoveaError } from '../../tile/index.ts'
import { movingAverage } from '../averaging/moving-average.ts'
import type { TrainConfig } from '../config/train-config.ts'
import type { JsonValue } from '../data/batch.ts'
import { batchesOf } from '../data/rows.ts'
import type { TrainableDecoder } from '../decoder/trainable-decoder.ts'
import { Evaluator } from '../evaluator.ts'
import { LoraDecoder } from '../lora/lora-decoder.ts'
import { savePeft } from '../lora/peft-files.ts'
import type { EvaluationRecord, StepRecord } from '../report/run-record.ts'
import { chooseSchedule } from '../schedules/choose-schedule.ts'
import { createTrainer, type StepResult, type Trainer } from '../trainer.ts'
import { type RunData, runData } from './run-data.ts'
import { openRunLog, type RunLog, readJson, runFiles, writeJson } from './run-folder.ts'
import { runModel } from './run-model.ts'
import { runTokenizer } from './run-tokenizer.ts'
import { shownAnswers, shownTexts } from './shown-predictions.ts'

/** What a run tells while it goes on. */
export interface RunEvents {
  /** before the first step: what takes time */
  onPrepare?(what: string): void
  onStep?(record: StepRecord, total: number, bytes: number): void
  onEvaluation?(record: EvaluationRecord): void
  /** a checkpoint is whole on the disk */
  onSave?(step: number): void
}

export interface RunTrainingOptions extends RunEvents {
  readonly device: Device
  readonly config: TrainConfig
  /** where everything is written; a run that is in it goes on */
  readonly folder: string
  /** the run is saved and left where it stands */
  readonly signal?: AbortSignal
}

export interface RunOutcome {
  readonly steps: number
  readonly finished: boolean
  readonly evaluations: readonly EvaluationRecord[]
}

/**
 * Runs a configuration in a folder: log, checkpoints, at the end the model as safetensors and what a report shows. A folder with
 * a checkpoint of the same configuration goes on from it, and comes to the same weights as if it had never stopped, wherever
 * it was stopped or killed. Node only. Rejects with `argument` for a folder that holds a run of another configuration or a
 * loss that is no number (the last good checkpoint stays), and with what is thrown by what it is made of.
 */
export async function runTraining(options: RunTrainingOptions): Promise<RunOutcome> {
  const { device, config, folder, onPrepare } = options
  const { mkdir } = await import('node:fs/promises')
  await mkdir(folder, { recursive: true }).catch((cause: Error) => {
    throw new FoveaError('io', 'runTraining', `${folder}: ${cause.message}`, { cause })
  })
  await claimFolder(folder, config)
  const tokenizer = await runTokenizer(config, folder, (characters) =>
    onPrepare?.(`tokenizer: ${characters} characters`),
  )
  const data = await runData({
    config,
    tokenizer,
    folder,
    onProgress: (characters) => onPrepare?.(`tokens: ${characters} characters`),
  })
  try {
    const { model, chosen } = await runModel(device, config, tokenizer)
    const { averaging } = config
    try {
      const trainer = await createTrainer({
        device,
        model,
        optimizer: chosen.optimizers,
        learningRate: chosen.learningRate,
        schedule: chooseSchedule(config.schedule, config.steps),
        source: [...config.stages, { ...config, until: undefined }].map(({ length, batch, accumulate, until }) => ({
          source: batchesOf(data.rowsOf(length), batch),
          accumulate,
          ...(until !== undefined && { until }),
        })),
        maxNorm: config.clip,
        ...(averaging !== null && {
          averaging: movingAverage(typeof averaging === 'number' ? { decay: averaging } : averaging),
        }),
      })
      try {
        if (await holdsCheckpoint(folder)) await trainer.resume(`${folder}/${runFiles.checkpoint}`)
        const log = await openRunLog(folder, trainer.steps)
        return await new Run(options, { trainer, model, data, tokenizer, log }).go()
      } finally {
        trainer.dispose()
      }
    } finally {
      model.dispose()
    }
  } finally {
    data.close()
  }
}

interface RunParts {
  readonly trainer: Trainer
  readonly model: TrainableDecoder | LoraDecoder
  readonly data: RunData
  readonly tokenizer: Tokenizer | null
  readonly log: RunLog
}

/** steps that are asked for before one is done, so that a GPU need not wait */
const stepsAhead = 2

class Run {
  readonly #options: RunTrainingOptions
  readonly #parts: RunParts
  readonly #under: Promise<StepResult>[] = []
  #saved = performance.now()
  /** when the step before was done, or what came after it */
  #mark = performance.now()
  #seconds: number
  #evaluator: Evaluator | null = null

  constructor(options: RunTrainingOptions, parts: RunParts) {
    this.#options = options
    this.#parts = parts
    this.#seconds = parts.log.steps.at(-1)?.seconds ?? 0
  }

  async go(): Promise<RunOutcome> {
    const { config, signal } = this.#options
    const { trainer, log } = this.#parts
    const { evaluate, steps } = config
    let asked = trainer.steps
    this.#mark = performance.now()
    try {
      while (asked < steps && !signal?.aborted) {
        const next = trainer.step()
        // whoever waits for it below is told
        next.catch(() => {})
        this.#under.push(next)
        asked++
        const judged = asked % evaluate.every === 0 || asked === steps
        const saved = this.#isSaveDue(asked) || asked === steps
        while (this.#under.length > (judged || saved || signal?.aborted ? 0 : stepsAhead - 1)) await this.#note()
        if (judged) await this.#evaluate(asked)
        if (saved) await this.#save(asked)
        if (judged || saved) this.#mark = performance.now()
      }
      while (this.#under.length > 0) await this.#note()
      const finished = asked >= steps
      if (!finished) await this.#save(asked)
      else await this.#finish()
      return { steps: asked, finished, evaluations: log.evaluations }
    } finally {
      this.#evaluator?.dispose()
    }
  }

  /** Waits for the oldest step that is under way and writes it down. */
  async #note(): Promise<void> {
    const { config, onStep } = this.#options
    const { trainer, log } = this.#parts
    const result = await (this.#under.shift() as Promise<StepResult>)
    const now = performance.now()
    const seconds = (now - this.#mark) / 1000
    this.#mark = now
    this.#seconds += seconds
    const record: StepRecord = {
      step: result.step,
      loss: result.loss,
      accuracy: result.accuracy,
      learningRate: result.learningRate,
      gradientNorm: result.gradientNorm,
      tokensPerSecond: Math.round(result.tokens / seconds),
      seconds: Number(this.#seconds.toFixed(3)),
      ...(result.skipped && { skipped: true }),
    }
    log.add(record)
    const bytes = Object.values(trainer.bytes).reduce((sum, part) => sum + part, 0)
    onStep?.(record, config.steps, bytes)
  }

  #isSaveDue(step: number): boolean {
    const { steps, minutes } = this.#options.config.save
    if (steps !== null && step % steps === 0) return true
    return minutes !== null && performance.now() - this.#saved > minutes * 60_000
  }

  async #save(step: number): Promise<void> {
    await this.#parts.trainer.save(`${this.#options.folder}/${runFiles.checkpoint}`)
    this.#saved = performance.now()
    this.#options.onSave?.(step)
  }

  async #evaluate(step: number): Promise<void> {
    const { config, device, onEvaluation } = this.#options
    const { trainer, model, data, log } = this.#parts
    for (const { name, rows, count, bytesPerToken } of data.heldOut) {
      this.#evaluator ??= await Evaluator.create({
        device,
        model,
        shape: { batch: config.batch, length: config.length },
        documents: data.heldOut.some((one) => one.rows.hasDocuments),
      })
      const most = count === null ? config.evaluate.batches : Math.ceil(count / config.batch)
      const source = batchesOf(
        { ...rows, hasDocuments: data.heldOut.some((one) => one.rows.hasDocuments) },
        config.batch,
      )
      const evaluator = this.#evaluator
      const { loss, accuracy } = await trainer.withAverages(() =>
        evaluator.run(source, Math.min(config.evaluate.batches, most)),
      )
      const bitsPerByte = bytesPerToken === null ? {} : { bitsPerByte: loss / Math.LN2 / bytesPerToken }
      const record = { step, heldOut: name, loss, accuracy, ...bitsPerByte }
      log.add(record)
      onEvaluation?.(record)
    }
  }

  /** What a finished run leaves: the model, and what a report shows of it. */
  async #finish(): Promise<void> {
    const { device, config, folder } = this.#options
    const { trainer, model, data, tokenizer, log } = this.#parts
    const shown = await trainer.withAverages(async () => {
      await exportSafetensors(model.checkpoint(), `${folder}/${runFiles.model}`)
      if (model instanceof LoraDecoder && model.plan.targets.every(({ module }) => module !== null))
        await savePeft(model, `${folder}/${runFiles.adapter}`, { base: String(config.model) })
      const examples = await shownAnswers(device, model, data, tokenizer)
      const samples = config.samples && tokenizer ? await shownTexts(device, model, tokenizer, config.samples) : []
      return { examples, samples }
    })
    const { parameters, states, activations, other } = trainer.bytes
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
    const last = log.steps.at(-1)
    const facts = [
      ['parameters', String(model.parameters.size)],
      [
        'attention',
        config.attention === 'full' ? 'full' : `${config.attention}, which the config.json of model/ does not say`,
      ],
      ['tokens a step', String(config.batch * config.accumulate * config.length)],
      ['device', `${device.kind}, ${device.info.name}`],
      [
        'memory',
        `${megabytes(parameters)} weights and gradients, ${megabytes(states)} optimiser, ${megabytes(activations)} activations, ${megabytes(other)} besides`,
      ],
      ['time', `${last?.seconds.toFixed(1)} s for ${last?.step} steps`],
    ]
    await writeJson(folder, runFiles.shown, { facts, ...shown })
  }
}

/** Is there a whole checkpoint? One that a killed process did not finish is taken away. */
async function holdsCheckpoint(folder: string): Promise<boolean> {
  const { readdir, rm } = await import('node:fs/promises')
  const path = `${folder}/${runFiles.checkpoint}`
  const names = await readdir(path).catch(() => [])
  const unfinished = names.filter((name) => name.endsWith('.tmp'))
  for (const name of unfinished) await rm(`${path}/${name}`, { force: true })
  return names.length > unfinished.length
}

/** The configuration of the run in a folder is written once, and is the same whenever it goes on. */
async function claimFolder(folder: string, config: TrainConfig): Promise<void> {
  const kept = await readJson(folder, runFiles.config)
  if (kept === null) return writeJson(folder, runFiles.config, config)
  // a run may be made longer, and judged or saved more often; the rest decides its weights
  const free = ['steps', 'evaluate', 'save', 'samples', 'device', 'name', 'compare']
  const fields = { ...(kept as Record<string, JsonValue>) }
  for (const [name, value] of Object.entries(config)) {
    const [before, now] = [JSON.stringify(fields[name]), JSON.stringify(value)]
    if (before !== now && !free.includes(name))
      throw new FoveaError(
        'argument',
        'runTraining',
        `${folder} holds a run with ${name} ${before}, this one has ${now}`,
      )
  }
  await writeJson(folder, runFiles.config, config)
}
