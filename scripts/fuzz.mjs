// @ts-check
// `npm run fuzz -- --count 100000 --seed 1`: damages files of models in so many ways and opens each in a child process, which
// must answer with a typed error or a working model, in under a second and under 512 MB. Prints what came out by kind of file;
// exit code 1 where a file crashed, hung or surprised the program. `--from 4711 --count 1` does one of them again.
import { fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { transpileSources } from './transpile-sources.mjs'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
})
const [count, seed, first] = [Number(values.count), Number(values.seed), Number(values.from)]
const last = first + count
/** a child is begun anew after so many: what it keeps is then its own, not the sum of all */
const perChild = 5000
/** nothing heard for so long: it hangs; a mutation has a second of its own, a busy machine more */
const patienceMs = 20_000
const mostMs = 1000
const mostBytes = 512 * 2 ** 20

/**
 * @typedef {{ index: number, kind: string, ms: number, peak: number, code: string, message?: string, left?: number }} Result
 * @typedef {{ index: number, kind: string, fault: string }} Fault
 */

/** @type {Map<string, { tried: number, ms: number, slowest: number, peak: number, codes: Map<string, number> }>} */
const table = new Map()
/** @type {Fault[]} */
const faults = []
const began = performance.now()

const folder = transpileSources(['test/fuzz', 'test/numerics'])
try {
  let next = first
  while (next < last) next = await runChild(next, Math.min(last, next + perChild))
} finally {
  rmSync(folder, { recursive: true })
}
report()
process.exitCode = faults.length > 0 ? 1 : 0

/**
 * Runs a child over a range and gives where the next one is to begin: after the range, or after what ended the child.
 *
 * @param {number} from
 * @param {number} to
 * @returns {Promise<number>}
 */
function runChild(from, to) {
  return new Promise((resolve) => {
    const args = [String(seed), String(from), String(to)]
    const child = fork(join(folder, 'test/fuzz/child.js'), args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    let [at, kind, done, hung, errors] = [from, 'start', false, false, '']
    const giveUp = () => {
      hung = true
      child.kill('SIGKILL')
    }
    let timer = setTimeout(giveUp, 3 * patienceMs)
    child.stderr?.on('data', (data) => {
      errors = (errors + data).slice(-4000)
    })
    child.on('message', (/** @type {Partial<Result> & { done?: boolean }} */ message) => {
      clearTimeout(timer)
      timer = setTimeout(giveUp, patienceMs)
      if (message.done) done = true
      else if (message.code === undefined) [at, kind] = [message.index ?? at, message.kind ?? kind]
      else keep(/** @type {Result} */ (message))
    })
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      if (done) return resolve(to)
      const fault = hung ? `hangs: no answer in ${patienceMs} ms` : `the process ended (${signal ?? code}): ${errors}`
      keep({ index: at, kind, ms: hung ? patienceMs : 0, peak: 0, code: 'fault', message: fault })
      // without a first answer there is nothing to go on with
      resolve(kind === 'start' ? last : at + 1)
    })
  })
}

/** @param {Result} result */
function keep({ index, kind, ms, peak, code, message = '', left }) {
  const row = table.get(kind) ?? { tried: 0, ms: 0, slowest: 0, peak: 0, codes: new Map() }
  table.set(kind, row)
  row.tried++
  row.ms += ms
  row.slowest = Math.max(row.slowest, ms)
  row.peak = Math.max(row.peak, peak)
  row.codes.set(code, (row.codes.get(code) ?? 0) + 1)
  const fault = (/** @type {string} */ text) => {
    faults.push({ index, kind, fault: text })
    if (!values.json && faults.length <= 20) console.log(`seed ${seed}, ${index}, ${kind}: ${text}`)
  }
  if (code === 'fault') fault(message)
  else if (ms > mostMs) fault(`took ${Math.round(ms)} ms (${code} ${message})`)
  else if (left !== undefined) fault(`${left} bytes stayed allocated on the device (${code} ${message})`)
  if (peak > mostBytes) fault(`the process had ${Math.round(peak / 2 ** 20)} MB`)
  if (!values.json && count === 1) console.log(`${index} ${kind}: ${code} ${message}`)
}

function report() {
  const seconds = Math.round((performance.now() - began) / 1000)
  const rows = [...table].map(([kind, { tried, ms, slowest, peak, codes }]) => {
    const { opened = 0, fault = 0, ...refused } = Object.fromEntries(codes)
    const by = Object.entries(refused).sort((a, b) => b[1] - a[1])
    return { kind, tried, opened, fault, refused: Object.fromEntries(by), slowest, mean: ms / tried, peak }
  })
  if (values.json) return console.log(JSON.stringify({ count, seed, seconds, rows, faults: faults.slice(0, 20) }))
  console.log('| file | mutations | opened | refused | slowest ms | mean ms | peak MB |')
  console.log('| --- | ---: | ---: | --- | ---: | ---: | ---: |')
  for (const { kind, tried, opened, refused, slowest, mean, peak } of rows.sort((a, b) => b.tried - a.tried)) {
    const by = Object.entries(refused).map(([code, n]) => `${code} ${n}`)
    const cells = [kind, tried, opened, by.join(', '), Math.round(slowest), mean.toFixed(1), Math.round(peak / 2 ** 20)]
    console.log(`| ${cells.join(' | ')} |`)
  }
  console.log(`${count} mutations, seed ${seed}, ${seconds} s, ${faults.length} faults`)
}
