import type { ResultRow } from '../result-row.ts'

/** A result without what the whole run and the system share. */
export type LlmRow = Omit<ResultRow, 'run' | 'commit' | 'machine' | 'node' | 'system' | 'version'>

/** Median, least and most of some times in ms, and how many they are. */
export function timesOf(times: readonly number[]): Required<Pick<LlmRow, 'medianMs' | 'minMs' | 'maxMs' | 'rounds'>> {
  const sorted = times.toSorted((a, b) => a - b)
  const [least = Number.NaN, most = Number.NaN] = [sorted[0], sorted.at(-1)]
  const medianMs = sorted[sorted.length >> 1] ?? Number.NaN
  return { medianMs: round(medianMs), minMs: round(least), maxMs: round(most), rounds: sorted.length }
}

/** Four digits. */
export function round(value: number): number {
  return Number(value.toPrecision(4))
}

/** 32000 as "32,000" */
export function counted(value: number): string {
  return value.toLocaleString('en-US')
}
