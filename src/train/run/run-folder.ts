import { appendFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { writeAside } from '../../model/files/write-aside.ts'
import { FoveaError } from '../../tile/index.ts'
import type { JsonValue } from '../data/batch.ts'
import type { EvaluationRecord, RunRecord, StepRecord } from '../report/run-record.ts'

/** What the folder of a run holds. */
export const runFiles = {
  /** what it was started with */
  config: 'config.json',
  /** a line for each step and each evaluation */
  log: 'train.jsonl',
  /** the newest whole state, see `Trainer.save` */
  checkpoint: 'checkpoint',
  tokenizer: 'tokenizer.json',
  /** fingerprints of the texts that it was started with */
  texts: 'texts.json',
  /** what a finished run shows in reports besides its log */
  shown: 'shown.json',
  /** the trained model */
  model: 'model',
  /** the adapters that were trained beside it, in PEFT's files */
  adapter: 'adapter',
  report: 'report.html',
} as const

type LogRecord = StepRecord | EvaluationRecord

/** The log of a run, written line by line, so that what has happened is on record whenever the process ends. */
export interface RunLog {
  readonly steps: readonly StepRecord[]
  readonly evaluations: readonly EvaluationRecord[]
  add(record: LogRecord): void
}

/**
 * Opens the log of a run that stands after `step`: what was written of later steps by a process that was killed, and a line that
 * it did not finish, are taken away. Node only.
 */
export async function openRunLog(folder: string, step: number): Promise<RunLog> {
  const path = `${folder}/${runFiles.log}`
  const kept = (await readLog(path)).filter((record) => record.step <= step)
  const steps: StepRecord[] = []
  const evaluations: EvaluationRecord[] = []
  const keep = (record: LogRecord) => ('heldOut' in record ? evaluations.push(record) : steps.push(record))
  for (const record of kept) keep(record)
  await writeText(path, kept.map((record) => `${JSON.stringify(record)}\n`).join(''))
  return {
    steps,
    evaluations,
    add(record) {
      keep(record)
      try {
        appendFileSync(path, `${JSON.stringify(record)}\n`)
      } catch (cause) {
        throw new FoveaError('io', 'runTraining', `${path}: ${(cause as Error).message}`, { cause })
      }
    },
  }
}

/** Reads a JSON file of a run; null where there is none. Throws `format` for what is no JSON. */
export async function readJson(folder: string, name: string): Promise<unknown> {
  const content = await readFile(`${folder}/${name}`, 'utf8').catch(() => null)
  if (content === null) return null
  try {
    return JSON.parse(content) as unknown
  } catch (cause) {
    throw new FoveaError('format', 'runTraining', `${folder}/${name}: ${(cause as Error).message}`, { cause })
  }
}

export async function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  await writeText(`${folder}/${name}`, `${JSON.stringify(value, null, 2)}\n`)
}

export async function writeText(path: string, text: string): Promise<void> {
  await writeAside(path, (sink) => sink.write(new TextEncoder().encode(text)))
}

/** What a report shows of the run in a folder. */
export async function readRunRecord(folder: string, name: string): Promise<RunRecord> {
  const records = await readLog(`${folder}/${runFiles.log}`)
  const shown = ((await readJson(folder, runFiles.shown)) ?? {}) as Partial<RunRecord>
  return {
    name,
    config: (await readJson(folder, runFiles.config)) as JsonValue,
    facts: shown.facts ?? [],
    samples: shown.samples ?? [],
    examples: shown.examples ?? [],
    steps: records.filter((record): record is StepRecord => !('heldOut' in record)),
    evaluations: records.filter((record): record is EvaluationRecord => 'heldOut' in record),
  }
}

async function readLog(path: string): Promise<LogRecord[]> {
  const content = await readFile(path, 'utf8').catch(() => '')
  return content.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as LogRecord]
    } catch {
      return []
    }
  })
}
