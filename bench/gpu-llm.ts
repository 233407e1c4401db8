import { parseArgs } from 'node:util'
import type { PageFormat } from '../src/attention/paged/page-pool.ts'
import type { WebgpuTier } from '../src/device/device-info.ts'
import { openDevice } from '../src/device/index.ts'
import { openParts } from '../src/llm/open-parts.ts'
import { copyBandwidth } from './gpu/copy-bandwidth.ts'
import { countingAdapter } from './gpu/counting-adapter.ts'
import { errorText, type GpuRow, round } from './gpu/gpu-row.ts'
import { fullSizes, quickSizes } from './gpu/gpu-sizes.ts'
import { linearRows } from './gpu/linear-rows.ts'
import { checkDevice } from './llm/check-device.ts'
import { engineRows } from './llm/gpu-engine-rows.ts'
import { fullCase, type GpuModelCase, quickCase } from './llm/gpu-model.ts'
import { decodeStepRows, logitBound, prefillRows, promptOf, stepPartRows } from './llm/gpu-step-rows.ts'
import { printRows } from './llm/print-rows.ts'
import { SteppedSequence } from './llm/stepped-sequence.ts'
import { llamaToy, syntheticCheckpoint } from './llm/synthetic-checkpoint.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'

// A model of Llama 3.2 1B's shape with random weights on the GPU at hand: `node bench/gpu-llm.ts`, `--quick` for a toy.
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    commit: { type: 'string' },
    out: { type: 'string', default: 'gpu-llm' },
    'dry-run': { type: 'boolean', default: false },
    tier: { type: 'string' },
    backend: { type: 'string' },
    chunk: { type: 'string' },
    format: { type: 'string' },
    layers: { type: 'string' },
    only: { type: 'string', default: 'check,prefill,decode,parts,engine,linear' },
  },
})
const of = withLayers(options.quick ? quickCase : fullCase, options.layers)
const chunk = options.chunk === undefined ? (of.chunks.at(-2) ?? 512) : Number(options.chunk)
const only = options.only.split(',')
const begin = performance.now()
const rows: ResultRow[] = []

// Dawn's null device compiles and runs nothing: no counting, no checks of what comes out
const nothingRuns = options.backend === 'null'
const counting = nothingRuns ? null : await countingAdapter()
const device = await openDevice('webgpu', {
  webgpu: {
    ...(counting && { adapter: counting.adapter }),
    ...(options.backend !== undefined && { backend: options.backend }),
    ...(options.tier !== undefined && { tier: Number(options.tier) as WebgpuTier }),
  },
})
const tier = device.info.tier ?? 0
const header = runHeader({ adapter: device.info.name }, options.commit)
console.log(`${device.info.name}: tier ${tier}, commit ${header.commit}, ${of.title}`)

// of the logits of a small model, against WebAssembly; what is wrong is not timed
let [sound, checked] = [true, {}]
await measure('check', async () => {
  sound = false
  const { relativeError, agreeing, tokens } = await checkDevice(device, llamaToy, logitBound(device))
  sound = true
  checked = { relativeError: round(relativeError) }
  console.log(
    `check: relative error ${relativeError.toExponential(2)}, ${agreeing} of ${tokens} most likely tokens agree`,
  )
  return []
})
let copied = Number.NaN
if (sound) {
  await measure('copy', async () => {
    if (!counting) return []
    const { kernel, buffer } = await copyBandwidth(device, counting.device(), of.copyBytes)
    copied = Math.max(kernel, buffer)
    const name = `copy ${Math.round(of.copyBytes / 2 ** 20)} MiB`
    return [{ case: name, system: kernel > buffer ? 'fovea' : 'WebGPU', unit: 'GB/s', rate: round(copied) }]
  })
  await measure('model', steppedRows)
  await measure('engine', () => engineRows(device, of, chunk, copied))
  await measure('linear', () => linearRows(device, (options.quick ? quickSizes : fullSizes).linear))
}
printRows(rows)
if (!options['dry-run']) appendRows(options.out, rows)
const failed = !sound || rows.some((row) => row.error)
// Dawn keeps the process alive
process.exit(failed ? 1 : 0)

/** The model with so many of its layers, named so. */
function withLayers(given: GpuModelCase, layers: string | undefined): GpuModelCase {
  if (layers === undefined) return given
  const shape = { ...given.shape, layers: Number(layers) }
  return { ...given, shape, title: `${given.title}, ${layers} layers` }
}

/** What needs no engine: steps, and what they are made of. */
async function steppedRows(): Promise<GpuRow[]> {
  const found: GpuRow[] = []
  const part = async (name: string, run: () => Promise<GpuRow[]>) => {
    if (!only.includes(name)) return
    const start = performance.now()
    found.push(...(await run()))
    log(name, start)
  }
  const start = performance.now()
  const parts = await openParts(
    syntheticCheckpoint(of.shape),
    {
      device,
      contextLength: of.tokens + 4 * of.decodeSteps,
      maxSequences: 1,
      sharePrefixes: false,
      chunkSize: Math.max(...of.chunks),
      ...(options.format !== undefined && { cacheFormat: options.format as PageFormat }),
    },
    'generate',
  )
  const sequence = new SteppedSequence(parts)
  try {
    await device.sync()
    log('weights', start)
    await part('prefill', () => prefillRows(sequence, of))
    sequence.truncate(0)
    sequence.prefill(promptOf(of), chunk)
    const token = await sequence.drawn()
    if (!nothingRuns && token < 0) throw new Error('the logits of the prompt are no numbers')
    await part('decode', () => decodeStepRows(sequence, of, copied))
    await part('parts', () => stepPartRows(sequence, of, [1]))
    sequence.truncate(of.tokens - chunk)
    await part('parts', () => stepPartRows(sequence, of, promptOf(of).slice(0, chunk)))
    return found
  } finally {
    sequence.dispose()
    await parts.release()
  }
}

/** Runs one part; what goes wrong in it becomes a row, and the other parts go on. */
async function measure(name: string, part: () => Promise<readonly GpuRow[]>): Promise<void> {
  if (name !== 'copy' && name !== 'model' && !only.includes(name)) return
  const start = performance.now()
  let found: readonly GpuRow[]
  try {
    found = await part()
  } catch (error) {
    console.error(error)
    found = [{ case: name, system: 'fovea', unit: 'ms', error: errorText(error) }]
  }
  const judged = name === 'model' || name === 'engine' ? checked : {}
  rows.push(...found.map((row) => ({ ...header, version: '', ...judged, ...row })))
  log(name, start)
}

function log(name: string, start: number): void {
  const seconds = (from: number) => ((performance.now() - from) / 1000).toFixed(1)
  console.error(`${name}: ${seconds(start)} s (${seconds(begin)} s so far)`)
}
