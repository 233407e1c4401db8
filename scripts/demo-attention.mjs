// @ts-check
// `npm run demo:attention`: causal attention at 16,384 tokens on the best device at hand, checked against float64, with its time
// and memory, and the same of other systems as recorded in bench/results. Exit code 1 when the check fails.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

/** @typedef {import('../bench/result-row.ts').ResultRow} ResultRow */

// by their URLs, because types are checked before anything is built
const dist = new URL('../dist/', import.meta.url)
/** @type {typeof import('../src/cli/attention-trial.ts')} */
const { attentionTrial } = await import(new URL('cli/attention-trial.js', dist).href)
/** @type {typeof import('../src/index.ts')} */
const { describeDevice, openDevice } = await import(new URL('index.js', dist).href)

const { values } = parseArgs({
  options: { tokens: { type: 'string', default: '16384' }, device: { type: 'string' } },
})
const shape = { tokens: Number(values.tokens), numHeads: 8, headDim: 64 }
const choice = /** @type {import('../src/index.ts').DeviceKind | undefined} */ (values.device)
const megabytes = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(1)

const device = await openDevice(choice)
const { tier, threads, simd, name } = device.info
console.log(
  `attention: f32, batch 1, ${shape.numHeads} heads, ${shape.tokens} tokens, head width ${shape.headDim}, causal`,
)
console.log(describeDevice(device.kind, { ...device.info, limits: {}, features: [] }))
if (device.kind === 'wasm' && choice === undefined)
  console.log('  (no GPU adapter here; a software one does not count)')

// the inputs lie on the device and the outputs are to come: what the process takes beyond both is the cost of the call
let before = 0
let after = 0
const trial = await attentionTrial(device, shape, {
  repeats: 3,
  onReady: () => {
    before = process.memoryUsage.rss()
    forgetPeak()
  },
  onFirstCall: () => {
    after = peakBytes()
  },
})
device.dispose()

const right = trial.error <= trial.bound
const planned = trial.inputBytes + trial.outputBytes
console.log(`
check    relative error ${trial.error.toExponential(1)} on ${trial.checkedRows} rows against float64, at most ${trial.bound.toExponential(1)}: ${right ? 'right' : 'WRONG'}
time     ${trial.medianMs.toFixed(1)} ms a call (median of ${trial.repeats}, ${trial.clock} clock), the first ${trial.firstCallMs.toFixed(1)} ms with compilation
rate     ${trial.gigaflops.toFixed(1)} GFLOP/s of the work that the mask leaves
memory   ${megabytes(planned)} MB of inputs and outputs; beyond them the process took at most ${megabytes(Math.max(0, after - before - trial.outputBytes))} MB in the first call,
         and the device allocated ${megabytes(trial.extraDeviceBytes)} MB (a score matrix would take ${megabytes(4 * shape.numHeads * shape.tokens ** 2)} MB)`)

console.log('\nthe same elsewhere:')
for (const line of recorded()) console.log(`  ${line}`)
if (!right) process.exitCode = 1
const label = tier !== null ? `tier ${tier}` : `${threads} threads, ${simd}`
console.log(`\n${right ? 'right' : 'WRONG'}: ${device.kind} (${name}, ${label})`)

/** Linux: the peak of resident memory counts from now on; elsewhere it counts from the start, and is an upper bound. */
function forgetPeak() {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {}
}

/** The most memory that was resident at once. */
function peakBytes() {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : ''
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS
  return Number(kilobytes) * 1024
}

/** The last recorded row of each system, of this size where there is one and else of its longest. */
function recorded() {
  const file = 'bench/results/cpu.jsonl'
  /** @type {ResultRow[]} */
  const rows = existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : []
  if (rows.length === 0) return [`nothing is recorded in ${file}: npm run bench:install && npm run bench -- cpu`]
  const systems = [...new Set(rows.map((row) => row.system))]
  const lines = systems.flatMap((system) => {
    const mine = rows.filter((row) => row.system === system && row.case.includes('D64 causal')).sort(bySize)
    const here = mine.filter((row) => tokensOf(row) === shape.tokens).at(-1)
    const longest = mine.filter((row) => row.error === undefined).at(-1)
    return [...new Set([here, longest])].flatMap((row) => (row ? [describe(row)] : []))
  })
  return [...lines, `(recorded in ${file} on ${rows.at(-1)?.machine}, not measured now)`]
}

/** @param {ResultRow} row */
function tokensOf(row) {
  return Number(/ T(\d+)/.exec(row.case)?.[1] ?? 0)
}

/**
 * Shorter first, then older first.
 *
 * @param {ResultRow} a
 * @param {ResultRow} b
 */
function bySize(a, b) {
  return tokensOf(a) - tokensOf(b) || a.run.localeCompare(b.run)
}

/** @param {ResultRow} row */
function describe(row) {
  const head = `${row.system} ${row.version}`.trim()
  const at = `at ${tokensOf(row).toLocaleString('en-US')} tokens`
  if (row.error !== undefined) return `${head}: ${at} ${row.error}`
  const memory =
    row.peakBytes === undefined || row.startBytes === undefined
      ? ''
      : `, ${megabytes(row.peakBytes - row.startBytes)} MB above its start`
  return `${head}: ${at} ${row.rate} ${row.unit}, ${row.medianMs} ms${memory}`
}
