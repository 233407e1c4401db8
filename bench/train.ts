import { parseArgs } from 'node:util'
import { openDevice } from '../src/device/index.ts'
import type { ComputeDType } from '../src/train/index.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'
import { fullCase } from './train/train-case.ts'
import { trainingRun } from './train/training-run.ts'

// Steps of training on the processor, with 128-bit vectors and joined to 256 bits: `npm run bench -- train`. A GPU's are in
// gpu-train.ts.
const { values: options } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    precision: { type: 'string', default: 'f32' },
    batch: { type: 'string', default: '1' },
    length: { type: 'string', default: '2048' },
    steps: { type: 'string', default: '5' },
    'dry-run': { type: 'boolean', default: false },
  },
})
const [batch, length, steps, threads] = [options.batch, options.length, options.steps, options.threads].map(Number) as [
  number,
  number,
  number,
  number,
]
const precision = options.precision as ComputeDType
const header = runHeader({ threads })
const rows = [await measure('fovea', false), await measure('fovea, 256-bit vectors', true)]
if (!options['dry-run']) appendRows('train', rows)

async function measure(name: string, wideVectors: boolean): Promise<ResultRow> {
  const device = await openDevice('wasm', { wasm: { threads, wideVectors } })
  const started = performance.now()
  const { trainer, model, dispose } = await trainingRun(device, { ...fullCase, batch, length }, precision)
  const first = await trainer.step()
  const firstCallMs = performance.now() - started
  const times: number[] = []
  const cpu = process.cpuUsage()
  for (let step = 0; step < steps; step++) {
    const before = performance.now()
    await trainer.step()
    times.push(performance.now() - before)
  }
  const { user, system } = process.cpuUsage(cpu)
  times.sort((a, b) => a - b)
  const medianMs = times[times.length >> 1] as number
  const row: ResultRow = {
    ...header,
    case: `${fullCase.title}, ${batch} × ${length} tokens a step, AdamW, ${precision}`,
    system: name,
    version: '',
    unit: 'tokens/s',
    rate: round((1000 * batch * length) / medianMs),
    medianMs: round(medianMs),
    minMs: round(times[0] as number),
    maxMs: round(times.at(-1) as number),
    rounds: times.length,
    firstCallMs: round(firstCallMs),
    peakBytes: device.memory.peak,
    bar: { least: 450 },
  }
  console.log(JSON.stringify(row))
  const megabytes = Object.entries(trainer.bytes).map(([what, bytes]) => `${what} ${Math.round(bytes / 1e6)}`)
  console.log(
    `${model.parameters.size} parameters, ${trainer.kernels} kernels, first loss ${first.loss.toFixed(3)}; MB: ${megabytes.join(', ')}; ` +
      `${Math.round((user + system) / 1e3 / steps)} ms of processor time a step`,
  )
  dispose()
  device.dispose()
  return row
}

function round(value: number): number {
  return Number(value.toPrecision(4))
}
