import { textTable } from '../../src/cli/text-table.ts'
import type { ResultRow } from '../result-row.ts'

/** The rows of a run for people, each with what it is held to. */
export function printRows(rows: readonly ResultRow[]): void {
  const lines = rows.flatMap((row) => {
    if (row.error !== undefined) return []
    const name = [row.case, `${row.system} ${row.version}`.trim()]
    const share = row.share ? `${(row.share.value * 100).toFixed(1)} % of ${row.share.of}` : ''
    const range = row.minMs === undefined ? '' : ` (${row.minMs}–${row.maxMs})`
    const spread = row.medianMs === undefined ? '' : `${row.medianMs}${range}`
    const rate = row.rate === undefined ? '' : `${row.rate} ${row.unit}`
    return [[...name, rate, spread, String(row.relativeError ?? ''), share, barText(row)]]
  })
  console.log(textTable([['case', 'system', 'rate', 'median ms (min–max)', 'error', 'share', 'bar'], ...lines]))
  for (const { case: name, system, error } of rows) if (error !== undefined) console.log(`${name}, ${system}: ${error}`)
}

/** "≥ 600: met" */
export function barText(row: ResultRow): string {
  const { bar } = row
  if (!bar) return ''
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = bar
  const value = row.share?.value ?? row.rate ?? Number.NaN
  const shown = (limit: number) => (row.share ? `${+(limit * 100).toPrecision(4)} %` : String(limit))
  const limits = [
    ...(bar.least === undefined ? [] : [`≥ ${shown(least)}`]),
    ...(bar.most === undefined ? [] : [`≤ ${shown(most)}`]),
  ]
  return `${limits.join(', ')}: ${value >= least && value <= most ? 'met' : 'missed'}`
}
