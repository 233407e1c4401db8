// @ts-check
// Writes the README's benchmark table, between its `bench` markers, from bench/results/*.jsonl: for each machine and
// case the rows of its last run, systems side by side. With --check it writes nothing and fails on a difference.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** @typedef {import('../bench/result-row.ts').ResultRow} ResultRow */

const folder = 'bench/results'
/** shipped before; its rows stay on record */
const retiredModel = 'books-16m:'
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.jsonl'))
  .sort()
  .map((name) =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => /** @type {ResultRow} */ (JSON.parse(line)))
      .filter((row) => !row.detail && !row.case.startsWith(retiredModel)),
  )

const markers = { start: '<!-- bench:start -->', end: '<!-- bench:end -->' }
const readme = readFileSync('README.md', 'utf8')
const [before, rest] = readme.split(markers.start)
const after = rest?.split(markers.end)[1]
if (before === undefined || after === undefined) throw new Error('bench-table: README.md lacks the bench markers')

// what was measured together: a file's rows of one machine
const tables = files.flatMap((rows) =>
  distinct(rows.map((row) => row.machine)).map((machine) =>
    machineTable(
      machine,
      rows.filter((row) => row.machine === machine),
    ),
  ),
)
const written = [`${before}${markers.start}`, tables.join('\n\n'), `${markers.end}${after}`].join('\n')
if (!process.argv.includes('--check')) writeFileSync('README.md', written)
else if (written !== readme) {
  console.error('README.md: the benchmark table is not that of bench/results: npm run bench:table')
  process.exitCode = 1
}

/**
 * @param {string} machine
 * @param {readonly ResultRow[]} ofMachine
 */
function machineTable(machine, ofMachine) {
  const cases = distinct(ofMachine.map((row) => row.case)).map((name) =>
    lastRun(ofMachine.filter((row) => row.case === name)),
  )
  const shown = cases.flat()
  // ours first, the others as they come
  const systems = distinct(shown.map((row) => row.system)).sort((a, b) => Number(b === 'fovea') - Number(a === 'fovea'))
  const titles = systems.map((system) => {
    const version = shown.find((row) => row.system === system && row.version !== '')?.version
    return system === 'fovea' || version === undefined ? system : `${system} ${version}`
  })
  const latest = shown.reduce((a, b) => (a.run > b.run ? a : b))
  const title = `${machine}, Node ${latest.node}, ${latest.run.slice(0, 10)}, commit ${latest.commit}:`
  // a table of which most cells would be empty is a list
  if (shown.length < (cases.length * systems.length) / 2) {
    const lines = cases
      .flat()
      .map((row) => `| ${row.case} | ${`${row.system} ${row.version}`.trim()} | ${cell(row)} | ${beside(row)} |`)
    return [title, '', '| case | system | rate | beside |', '| --- | --- | --- | --- |', ...lines].join('\n')
  }
  const barred = shown.some((row) => row.bar)
  const lines = cases.map((ofCase) => {
    const cells = systems.map((system) => withShare(ofCase.find((row) => row.system === system)))
    return `| ${[ofCase[0]?.case, ...(barred ? [barOf(ofCase)] : []), ...cells].join(' | ')} |`
  })
  const head = ['case', ...(barred ? ['bar'] : []), ...titles]
  return [title, '', `| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines].join('\n')
}

/**
 * What the rows of a case are held to.
 *
 * @param {readonly ResultRow[]} ofCase
 */
function barOf(ofCase) {
  const held = ofCase.find((row) => row.bar)
  if (!held?.bar) return ''
  const { least, most } = held.bar
  /** @param {number} value */
  const shown = (value) => (held.share ? `${Number((value * 100).toPrecision(4))} %` : `${value}`)
  return [
    ...(least === undefined ? [] : [`≥ ${shown(least)}`]),
    ...(most === undefined ? [] : [`≤ ${shown(most)}`]),
  ].join(', ')
}

/** @param {ResultRow | undefined} row */
function withShare(row) {
  return row?.share && row.error === undefined ? `${cell(row)}, ${shareText(row.share)}` : cell(row)
}

/** @param {ResultRow} row */
function beside(row) {
  const bar = barOf([row])
  return [...(row.share ? [shareText(row.share)] : []), ...(bar ? [`(${bar})`] : [])].join(' ')
}

/** @param {NonNullable<ResultRow['share']>} share */
function shareText({ value, of }) {
  const percent = value * 100
  return `${percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} % of ${of}`
}

/** @param {ResultRow | undefined} row */
function cell(row) {
  if (!row) return '–'
  if (row.error !== undefined) return row.error.startsWith('not run') ? row.error : `fails: ${lastClause(row.error)}`
  const rate = `${row.rate} ${row.unit}`
  if (row.peakBytes === undefined || row.startBytes === undefined) return rate
  return `${rate}, ${Math.round((row.peakBytes - row.startBytes) / 1e6)} MB`
}

/**
 * What an error of native code says after its file, line and function.
 *
 * @param {string} error
 */
function lastClause(error) {
  return (
    error
      .split(/\(\)|: /)
      .at(-1)
      ?.trim() ?? error
  )
}

/** @param {readonly ResultRow[]} ofCase */
function lastRun(ofCase) {
  const run = ofCase
    .map((row) => row.run)
    .sort()
    .at(-1)
  return ofCase.filter((row) => row.run === run)
}

/** @template Item @param {readonly Item[]} items */
function distinct(items) {
  return [...new Set(items)]
}
