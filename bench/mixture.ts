import { parseArgs } from 'node:util'
import { relativeError } from '../src/cli/exact-row.ts'
import { textTable } from '../src/cli/text-table.ts'
import { openDevice, type Tensor } from '../src/device/index.ts'
import type { MixtureMethod } from '../src/nn/experts/mixture-plan.ts'
import { type WeightDType, weightBlock } from '../src/nn/weight-data.ts'
import { kernelBandwidth } from './gpu/copy-bandwidth.ts'
import { errorText, type GpuRow, round } from './gpu/gpu-row.ts'
import { interleavedTimes, type Times } from './gpu/interleaved-times.ts'
import { type LayerSize, MixtureLayers } from './mixture/mixture-layers.ts'
import { MixtureSteps } from './mixture/mixture-steps.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'

// Mixture layers beside a dense layer of the size of the chosen experts:
// `npm run bench -- mixture [--device wasm] [--methods pairs,16,32,64,128]` (methods: pairs, or rows of a tile).
const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'webgpu' },
    threads: { type: 'string', default: '2' },
    experts: { type: 'string', default: '8:2,128:8' },
    dtypes: { type: 'string', default: 'q4_0,f16' },
    tokens: { type: 'string', default: '1,512' },
    methods: { type: 'string', default: '' },
    hidden: { type: 'string', default: '2048' },
    inner: { type: 'string', default: '768' },
    pool: { type: 'string', default: '256' },
    commit: { type: 'string' },
    out: { type: 'string', default: 'mixture' },
    'dry-run': { type: 'boolean', default: false },
  },
})
const device = await openDevice(
  options.device as 'wasm',
  options.device === 'wasm' ? { wasm: { threads: Number(options.threads) } } : {},
)
const machine = device.kind === 'wasm' ? { threads: Number(options.threads) } : { adapter: device.info.name }
const header = runHeader(machine, options.commit)
const poolBytes = Number(options.pool) * 2 ** 20
const bandwidth = await kernelBandwidth(device, Math.min(poolBytes, 2 ** 28))
console.log(`${header.machine}, commit ${header.commit}: a kernel copies ${bandwidth.toFixed(0)} GB/s`)
const rows: ResultRow[] = []
for (const text of options.experts.split(','))
  for (const dtype of options.dtypes.split(',')) {
    const [experts = 0, perToken = 0] = text.split(':').map(Number)
    const size = { experts, perToken, hidden: Number(options.hidden), inner: Number(options.inner) }
    if (!(dtype in weightBlock) || !(perToken >= 1)) throw new Error(`mixture: no ${dtype}, or no experts ${text}`)
    rows.push(...(await layerRows(size, dtype as WeightDType)).map((row) => ({ ...header, version: '', ...row })))
  }
const shown = rows.map((row) => {
  const share = row.share ? `${row.share.value} × ${row.share.of}` : ''
  const bar = row.bar ? `at most ${row.bar.most}` : ''
  return [
    row.case,
    row.error ?? `${row.medianMs} (${row.minMs}–${row.maxMs})`,
    String(row.relativeError ?? ''),
    share,
    bar,
  ]
})
console.log(textTable([['case', 'median ms (min–max)', 'error', 'share', 'bar'], ...shown]))
if (!options['dry-run']) appendRows(options.out, rows)
// Dawn keeps the process alive
process.exit(rows.some(({ error }) => error) ? 1 : 0)

async function layerRows(size: LayerSize, dtype: WeightDType): Promise<GpuRow[]> {
  const name = `mixture ${size.perToken} of ${size.experts}, ${size.hidden} × ${size.inner} ${dtype}`
  try {
    const layers = new MixtureLayers(device, size, dtype, poolBytes)
    const found: GpuRow[] = []
    for (const tokens of options.tokens.split(',').map(Number)) {
      const steps = new MixtureSteps(layers, tokens, poolBytes)
      found.push(...(await stepRows(layers, steps, tokens, `${name}, ${tokens} tokens`)))
      steps.dispose()
    }
    layers.dispose()
    return found
  } catch (error) {
    return [{ case: name, system: 'fovea', unit: 'ms', error: errorText(error) }]
  }
}

async function stepRows(layers: MixtureLayers, steps: MixtureSteps, tokens: number, name: string): Promise<GpuRow[]> {
  const methods: [string, MixtureMethod | null][] = [
    ['', null],
    ...options.methods
      .split(',')
      .filter((word) => word !== '')
      .map((word): [string, MixtureMethod] =>
        word === 'pairs'
          ? [', pairs', { kind: 'pairs' }]
          : [`, tiles of ${word}`, { kind: 'tiles', tileM: Number(word) }],
      ),
  ]
  const record = (count: number, work: (i: number) => void) => ({
    count,
    recording: device.record(() => {
      for (let i = 0; i < count; i++) work(i)
    }),
  })
  const lanes = steps.lanes.length
  for (let lane = 0; lane < lanes; lane++) steps.route(lane)
  const variants = [
    { name: 'dense layer of the chosen', ...record(layers.dense.length, (copy) => steps.dense(copy)) },
    ...methods.map(([label, method]) => ({
      name: `experts${label}`,
      ...record(lanes, (lane) => steps.mixture(lane, method)),
    })),
    {
      name: 'router and experts',
      ...record(lanes, (lane) => {
        steps.route(lane)
        steps.mixture(lane, null)
      }),
    },
  ]
  const errors: number[] = []
  for (const [i, { recording }] of variants.entries()) {
    recording.run()
    errors.push(i === 0 ? 0 : await outputError(layers, steps))
  }
  const touched = new Set(await steps.lanes[0]!.chosen.read()).size
  const times = await interleavedTimes(
    device,
    variants.map(
      ({ recording }) =>
        () =>
          recording.run(),
    ),
  )
  for (const { recording } of variants) recording.dispose()
  const perLayer = times.map(({ medianMs, minMs, maxMs, rounds, clock }, i): Times => {
    const { count } = variants[i]!
    return { medianMs: medianMs / count, minMs: minMs / count, maxMs: maxMs / count, rounds, clock }
  })
  const denseMs = perLayer[0]!.medianMs
  const bytesMs = (touched * layers.expertBytes) / bandwidth / 1e6
  const byBytes = tokens > 1 && bytesMs > denseMs
  const floor = byBytes ? bytesMs : denseMs
  const of = byBytes ? `${bytesMs.toFixed(3)} ms for the bytes of ${touched} experts` : 'the dense layer'
  return perLayer.map(({ medianMs, minMs, maxMs, rounds }, i) => ({
    case: `${name}: ${variants[i]!.name}`,
    system: 'fovea',
    unit: 'ms',
    rate: round(medianMs),
    medianMs: round(medianMs),
    minMs: round(minMs),
    maxMs: round(maxMs),
    rounds,
    ...(i > 0 && {
      relativeError: round(errors[i]!),
      share: { value: round(medianMs / floor), of },
      bar: { most: tokens === 1 ? 1.3 : 1.5 },
    }),
  }))
}

/** Of the last lane's last token: its first outputs beside float64; throws when they are wrong. */
async function outputError(layers: MixtureLayers, steps: MixtureSteps): Promise<number> {
  const { x, chosen, weights } = steps.lanes.at(-1)!
  const lastRow = async (tensor: Tensor) => {
    const row = tensor.slice(0, tensor.shape[0]! - 1, tensor.shape[0]!)
    const values = Array.from(await row.read(), Number)
    row.dispose()
    return values
  }
  const got = (await lastRow(steps.output)).slice(0, 32)
  const expected = layers.expected(await lastRow(x), await lastRow(chosen), await lastRow(weights), got.length)
  const [error, most] = [relativeError(got, expected), layers.halves ? 4e-3 : 1e-5]
  if (!(error <= most)) throw new Error(`mixture is wrong: relative error ${error.toExponential(2)}, at most ${most}`)
  return error
}
