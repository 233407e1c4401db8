import type { EvaluationRecord, StepRecord } from '../train/report/run-record.ts'
import type { TrainEvents } from '../train/run/train-runs.ts'

/** between lines where the standard error is no terminal, milliseconds */
const quietFor = 10_000

/** A line on the standard error that tells how a run goes: written over on a terminal, now and then elsewhere. */
export class TrainProgress {
  readonly events: TrainEvents
  #run = ''
  #last = Number.NEGATIVE_INFINITY
  #drawn = false
  #loss: number | null = null
  #stepSeconds: number | null = null
  #seconds = 0

  constructor() {
    this.events = {
      onRun: (name) => {
        this.#run = name
        this.#loss = null
        this.#stepSeconds = null
        this.#seconds = 0
      },
      onPrepare: (what) => this.#draw(`${this.#run}: ${what}`, false),
      onStep: (record, total, bytes) => this.#step(record, total, bytes),
      onEvaluation: (record) => this.say(evaluationLine(record)),
    }
  }

  /** A line that stays. */
  say(text: string): void {
    this.clear()
    process.stderr.write(`${this.#run === '' ? '' : `${this.#run}: `}${text}\n`)
  }

  /** Takes the line away, where it can be. */
  clear(): void {
    if (this.#drawn && process.stderr.isTTY === true) process.stderr.write('\r\x1b[2K')
    this.#drawn = false
  }

  #step({ step, loss, tokensPerSecond, seconds }: StepRecord, total: number, bytes: number): void {
    const blend = (old: number | null, now: number) => (old === null ? now : 0.9 * old + 0.1 * now)
    if (Number.isFinite(loss)) this.#loss = blend(this.#loss, loss)
    // a run that goes on has spent its seconds before
    const took = this.#seconds === 0 ? seconds / step : seconds - this.#seconds
    this.#stepSeconds = blend(this.#stepSeconds, took)
    this.#seconds = seconds
    const rate = Math.round((tokensPerSecond * took) / this.#stepSeconds)
    const left = timeText(this.#stepSeconds * (total - step))
    const parts = [
      `${this.#run} ${step}/${total}`,
      `loss ${this.#loss?.toFixed(4)}`,
      `${rate} tokens/s`,
      `${left} left`,
      `${Math.round(bytes / 1e6)} MB`,
    ]
    this.#draw(parts.join(', '), step === total)
  }

  #draw(line: string, always: boolean): void {
    const now = performance.now()
    const terminal = process.stderr.isTTY === true
    if (!always && now - this.#last < (terminal ? 100 : quietFor)) return
    this.#last = now
    process.stderr.write(terminal ? `\r\x1b[2K${line}` : `${line}\n`)
    this.#drawn = true
  }
}

function timeText(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`
  return seconds < 6000 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}

function evaluationLine({ step, heldOut, loss, accuracy, bitsPerByte }: EvaluationRecord): string {
  const found =
    bitsPerByte === undefined ? `${(100 * accuracy).toFixed(2)} % right` : `${bitsPerByte.toFixed(4)} bits per byte`
  return `step ${step}, held out (${heldOut}): ${loss.toFixed(4)} nats, ${found}`
}
