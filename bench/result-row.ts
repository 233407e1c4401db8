import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'

/** One line of `bench/results/*.jsonl`: one system on one case in one run. Files only grow. */
export interface ResultRow {
  /** The run's start, ISO 8601: rows of one run were measured together. */
  readonly run: string
  readonly commit: string
  /** CPU or adapter, and threads where they matter. */
  readonly machine: string
  readonly node: string
  readonly case: string
  readonly system: string
  readonly version: string
  readonly unit:
    | 'GFLOP/s'
    | 'TFLOP/s'
    | 'GB/s'
    | 'tokens/s'
    | 'ms'
    | 'ms/token'
    | 's'
    | 'MB'
    | 'pages'
    | 'pipelines'
    | 'kernels'
  /** At the median time; absent when `error` says why. */
  readonly rate?: number
  readonly medianMs?: number
  readonly minMs?: number
  readonly maxMs?: number
  readonly rounds?: number
  readonly firstCallMs?: number
  /** Resident memory before the system was loaded, inputs included, and at its highest. */
  readonly startBytes?: number
  readonly peakBytes?: number
  /** Relative RMS error of sampled rows against float64, checked before timing. */
  readonly relativeError?: number
  /** The rate or time beside the one it is judged by, and what that is: `{ value: 0.97, of: 'plain causal' }`. */
  readonly share?: { readonly value: number; readonly of: string }
  /** What the rate, or the share where there is one, is to reach (`least`) or to stay within (`most`). */
  readonly bar?: { readonly least?: number; readonly most?: number }
  /** Bytes that one unit of the work has to read: a token of decode its weights, keys and values. */
  readonly bytes?: number
  /** Kept for those who make it faster, and left out of the README's table. */
  readonly detail?: true
  readonly error?: string
}

/** What every row of this process's run shares; the commit is asked of git unless it is given. */
export function runHeader(
  device: { readonly threads: number } | { readonly adapter: string },
  commit: string = commitName(),
): Pick<ResultRow, 'run' | 'commit' | 'machine' | 'node'> {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown CPU'
  return {
    run: new Date().toISOString(),
    commit,
    machine: 'adapter' in device ? device.adapter : `${cpu}, ${device.threads} threads`,
    node: process.versions.node,
  }
}

/** Appends the rows to `bench/results/<name>.jsonl`, or to a path of your own (one with a slash). */
export function appendRows(name: string, rows: readonly ResultRow[]): void {
  const folder = join(import.meta.dirname, 'results')
  const path = name.includes('/') ? name : join(folder, `${name}.jsonl`)
  mkdirSync(dirname(path), { recursive: true })
  appendFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
}

function commitName(): string {
  const git = (...args: string[]) =>
    (spawnSync('git', args, { encoding: 'utf8', cwd: import.meta.dirname }).stdout ?? '').trim()
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', '../src') !== ''
  return (git('rev-parse', '--short', 'HEAD') || 'unknown') + (changed ? '+changes' : '')
}
