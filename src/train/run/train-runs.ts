import { existsSync } from 'node:fs'
import type { Device } from '../../device/device.ts'
import { openDevice } from '../../device/open-device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { TrainConfig } from '../config/train-config.ts'
import { reportPage } from '../report/report-page.ts'
import type { RunRecord } from '../report/run-record.ts'
import { readRunRecord, runFiles, writeText } from './run-folder.ts'
import type { RunEvents, RunOutcome } from './run-options.ts'
import { runTraining } from './run-training.ts'

export interface TrainEvents extends RunEvents {
  /** a run begins, the first of the configuration or one to compare */
  onRun?(name: string): void
}

export interface TrainRunsOptions extends TrainEvents {
  readonly config: TrainConfig
  readonly folder: string
  /** a device of the caller's; by default one is opened, as the configuration says */
  readonly device?: Device
  /** whether the folder may hold a run already, which then goes on (false) */
  readonly mayGoOn?: boolean
  readonly signal?: AbortSignal
}

export interface TrainedRuns {
  /** of the run that was under way last */
  readonly steps: number
  readonly finished: boolean
  /** a line for each run */
  readonly summary: readonly string[]
}

/**
 * Runs a configuration, and after it those that it is to be compared with (each in a folder of its own inside), and writes the
 * report of them all. Rejects with `argument` for a folder that holds a run when none may be in it, and with what
 * `openDevice` and `runTraining` reject with.
 */
export async function trainRuns(options: TrainRunsOptions): Promise<TrainedRuns> {
  checkFields('trainRuns', 'options', options, fields)
  const { mayGoOn = false, onRun, ...ofRun } = options
  const { config, folder, signal } = ofRun
  if (!mayGoOn && existsSync(`${folder}/${runFiles.config}`))
    throw new FoveaError(
      'argument',
      'trainRuns',
      `${folder} holds a run already; let it go on (--resume ${folder}) or name another folder (--out)`,
    )
  const device = options.device ?? (await openDevice(config.device ?? undefined))
  try {
    const runs: { name: string; folder: string; outcome: RunOutcome }[] = []
    for (const run of [{ name: config.attention }, ...config.compare]) {
      const isFirst = runs.length === 0
      const own = isFirst ? folder : `${folder}/${run.name.replaceAll(/[^\w.-]+/g, '-')}`
      onRun?.(config.compare.length === 0 ? config.name : run.name)
      const { name: _, ...changes } = run as (typeof config.compare)[number]
      const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
      const whole: TrainConfig = isFirst ? config : { ...config, ...given, compare: [] }
      const outcome = await runTraining({ ...ofRun, device, config: whole, folder: own })
      runs.push({ name: run.name, folder: own, outcome })
      if (!outcome.finished || signal?.aborted) break
    }
    const records = await Promise.all(runs.map((run) => readRunRecord(run.folder, run.name)))
    await writeText(`${folder}/${runFiles.report}`, reportPage(`fovea train: ${config.name}`, records))
    const last = runs.at(-1)?.outcome
    return {
      steps: last?.steps ?? 0,
      finished: runs.length === 1 + config.compare.length && runs.every(({ outcome }) => outcome.finished),
      summary: records.map(summaryLine),
    }
  } finally {
    if (!options.device) device.dispose()
  }
}

function summaryLine({ name, steps, evaluations }: RunRecord): string {
  const last = steps.at(-1)
  const judged = new Map(evaluations.map((one) => [one.heldOut, one]))
  const found = [...judged.values()].map(({ heldOut, loss, accuracy, bitsPerByte }) =>
    bitsPerByte === undefined
      ? `${heldOut} ${(100 * accuracy).toFixed(2)} % right`
      : `${heldOut} ${loss.toFixed(4)} nats per token, ${bitsPerByte.toFixed(4)} bits per byte`,
  )
  return `${name}: ${last?.step} steps in ${last?.seconds.toFixed(0)} s, loss ${last?.loss.toFixed(4)}; held out: ${found.join(', ')}`
}

const fields: FieldsOf<TrainRunsOptions> = {
  config: true,
  folder: true,
  device: true,
  mayGoOn: true,
  signal: true,
  onRun: true,
  onPrepare: true,
  onStep: true,
  onEvaluation: true,
  onSave: true,
}
