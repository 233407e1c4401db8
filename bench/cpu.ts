import { totalmem } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { floatingOperations, problemName } from './attention-problem.ts'
import { type AttentionShape, type PeerName, peerName, systems } from './peers/peer.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'
import { SystemHandle } from './system-handle.ts'
import type { Made } from './system-process.ts'

// onnxruntime's and jax-js's attention hold about this many score matrices at once
const scoreMatrices = 2.5

const { values: options } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1024,4096,16384' },
    peers: { type: 'string', default: Object.keys(systems).join(',') },
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '2' },
    'dry-run': { type: 'boolean', default: false },
  },
})
const threads = Number(options.threads)
const peers = options.peers.split(',').map(peerName)
const header = runHeader({ threads })
const sound = await soundPeers()
const rows: ResultRow[] = []
for (const tokens of options.tokens.split(',').map(Number)) {
  const shape = { batch: 1, numHeads: 8, tokens, headDim: 64, causal: true }
  rows.push(...(await measure(shape)))
}
printTable(rows)
if (!options['dry-run']) appendRows('cpu', rows)
process.exitCode = rows.some((row) => row.system === 'fovea' && row.error) ? 1 : 0

/** The peers whose output is right; a wrong one is said and not timed. */
async function soundPeers(): Promise<PeerName[]> {
  const found: PeerName[] = []
  for (const peer of peers) {
    const handle = new SystemHandle()
    try {
      const { errors } = await handle.ask({ kind: 'check', peer, threads })
      console.log(`${peer}: relative error ${errors.map((error) => error.toExponential(1)).join(', ')}`)
      found.push(peer)
    } catch (error) {
      console.error(`${peer}: not timed: ${error instanceof Error ? error.message : error}`)
      process.exitCode = 1
    } finally {
      handle.stop()
    }
  }
  return found
}

/** All systems on one problem, in turn, each in its own process. */
async function measure(shape: AttentionShape): Promise<ResultRow[]> {
  const running = new Map<PeerName, { handle: SystemHandle; made: Made; repeats: number; times: number[] }>()
  const failed: ResultRow[] = []
  const base = { ...header, case: problemName(shape), unit: 'GFLOP/s' } as const
  const fail = (peer: PeerName, error: unknown) => {
    const made = running.get(peer)?.made
    const text = error instanceof Error ? error.message : String(error)
    failed.push({
      ...base,
      system: systems[peer].title,
      version: made?.version ?? '',
      error: text.split('\n')[0] ?? text,
    })
    running.get(peer)?.handle.stop()
    running.delete(peer)
  }

  for (const peer of sound) {
    const scoreBytes = 4 * shape.batch * shape.numHeads * shape.tokens ** 2 * scoreMatrices
    if (systems[peer].materialisesScores && scoreBytes > totalmem() / 2) {
      fail(peer, `not run: its scores need about ${(scoreBytes / 1e9).toFixed(0)} GB`)
      continue
    }
    const handle = new SystemHandle()
    try {
      const made = await handle.ask({ kind: 'make', peer, shape, threads })
      const { msPerRun } = await handle.ask({ kind: 'run', repeats: 1 })
      // a measurement lasts at least 100 ms, which also warms the system up
      const repeats = Math.max(1, Math.ceil(100 / msPerRun))
      await handle.ask({ kind: 'run', repeats })
      running.set(peer, { handle, made, repeats, times: [] })
    } catch (error) {
      handle.stop()
      fail(peer, error)
    }
  }
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [peer, { handle, repeats, times }] of [...running]) {
      // thread pools spin for a while after a call: let the previous one fall asleep
      await pause(100)
      try {
        times.push((await handle.ask({ kind: 'run', repeats })).msPerRun)
      } catch (error) {
        fail(peer, error)
      }
    }

  const measured: ResultRow[] = []
  for (const [, { handle, made, times }] of running) {
    const { peakBytes } = await handle.ask({ kind: 'finish' })
    handle.stop()
    times.sort((a, b) => a - b)
    const medianMs = times[times.length >> 1]!
    measured.push({
      ...base,
      system: made.name,
      version: made.version,
      rate: round(floatingOperations(shape) / medianMs / 1e6),
      medianMs: round(medianMs),
      minMs: round(times[0]!),
      maxMs: round(times.at(-1)!),
      rounds: times.length,
      firstCallMs: round(made.firstCallMs),
      startBytes: made.startBytes,
      peakBytes,
    })
  }
  return [...measured, ...failed]
}

function printTable(results: readonly ResultRow[]): void {
  const megabytes = (bytes: number) => Math.round(bytes / 1e6)
  const lines = results.map((row) => {
    const system = `${row.system} ${row.version}`
    if (row.error !== undefined) return [row.case, system, row.error]
    const spread = `${row.medianMs} (${row.minMs}–${row.maxMs})`
    const memory = `${megabytes(row.peakBytes ?? 0)} (+${megabytes((row.peakBytes ?? 0) - (row.startBytes ?? 0))})`
    return [row.case, system, `${row.rate}`, spread, `${row.firstCallMs}`, memory]
  })
  const head = ['case', 'system', 'GFLOP/s', 'median ms (min–max)', 'first call ms', 'peak MB (above start)']
  // an error is as long as it is, and fills no column
  const widths = head.map((_, i) => Math.max(...[head, ...lines.filter((l) => l.length > 3)].map((l) => l[i]!.length)))
  for (const line of [head, ...lines]) console.log(line.map((cell, i) => cell.padEnd(widths[i]!)).join('  '))
}

function round(value: number): number {
  return Number(value.toPrecision(4))
}
