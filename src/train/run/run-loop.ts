import type { Tokenizer } from '../../model/tokenizer.ts'
import type { TrainableDecoder } from '../decoder/trainable-decoder.ts'
import type { LoraDecoder } from '../lora/lora-decoder.ts'
import type { StepRecord } from '../report/run-record.ts'
import type { StepResult } from '../step-result.ts'
import type { Trainer } from '../trainer.ts'
import { HeldOutJudge } from './held-out-judge.ts'
import type { RunData } from './run-data.ts'
import { type RunLog, runFiles } from './run-folder.ts'
import type { RunOutcome, RunTrainingOptions } from './run-options.ts'

/** What a run is made of. */
export interface RunParts {
  readonly trainer: Trainer
  readonly model: TrainableDecoder | LoraDecoder
  readonly data: RunData
  readonly tokenizer: Tokenizer | null
  readonly log: RunLog
}

/** steps that are asked for before one is done, so that a GPU need not wait */
const stepsAhead = 2

/** Steps, evaluations and checkpoints of a run, in turn, until its end or an interrupt. */
export class RunLoop {
  readonly #options: RunTrainingOptions
  readonly #parts: RunParts
  readonly #under: Promise<StepResult>[] = []
  #saved = performance.now()
  /** when the step before was done, or what came after it */
  #mark = performance.now()
  #seconds: number
  #judge: HeldOutJudge | null = null

  constructor(options: RunTrainingOptions, parts: RunParts) {
    this.#options = options
    this.#parts = parts
    this.#seconds = parts.log.steps.at(-1)?.seconds ?? 0
  }

  /** Rejects with what `Trainer.step`, `Trainer.save` and the evaluation reject with. */
  async go(): Promise<RunOutcome> {
    const { config, signal } = this.#options
    const { trainer, data, log } = this.#parts
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
        if (judged && data.heldOut.length > 0) await this.#evaluate(asked)
        if (saved) await this.#save(asked)
        if (judged || saved) this.#mark = performance.now()
      }
      while (this.#under.length > 0) await this.#note()
      const finished = asked >= steps
      if (!finished) await this.#save(asked)
      return { steps: asked, finished, evaluations: log.evaluations }
    } finally {
      this.#judge?.dispose()
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
      ...(result.targets === 0 ? { targets: 0 } : result.skipped && { skipped: true }),
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
    this.#judge ??= await HeldOutJudge.create(device, model, config, data.heldOut)
    const judge = this.#judge
    for (const record of await trainer.withAverages(() => judge.judge(step))) {
      log.add(record)
      onEvaluation?.(record)
    }
  }
}
