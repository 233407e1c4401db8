import type { ResultRow } from '../result-row.ts'
import type { Times } from './interleaved-times.ts'

/** A result without what the whole run shares. */
export type GpuRow = Omit<ResultRow, 'run' | 'commit' | 'machine' | 'node' | 'version'> & { readonly version?: string }

/** Times and the rate of `work` (operations or bytes) done in the median one, in units of `unitSize` per second. */
export function measured(
  times: Times,
  work: number,
  unitSize: number,
): Pick<GpuRow, 'rate' | 'medianMs' | 'minMs' | 'maxMs' | 'rounds'> {
  const { medianMs, minMs, maxMs, rounds } = times
  return {
    rate: round(work / (medianMs / 1000) / unitSize),
    medianMs: round(medianMs),
    minMs: round(minMs),
    maxMs: round(maxMs),
    rounds,
  }
}

/** Four digits. */
export function round(value: number): number {
  return Number(value.toPrecision(4))
}

/** The first line of what went wrong. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0] ?? text
}
