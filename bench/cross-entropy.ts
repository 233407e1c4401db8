// `npm run bench -- cross-entropy [--rounds 3] [--threads 2] [--dry-run]`: the loss fused with the output projection, with its
// gradients, on WebAssembly: memory beyond inputs, outputs and gradients, and speed beside its three products alone.
import { parseArgs } from 'node:util'
import { openDevice, type Tensor } from '../src/device/index.ts'
import { uniformNumbers } from '../src/llm/uniform-numbers.ts'
import { crossEntropy, crossEntropyScratch, matmul, matmulInParts } from '../src/nn/index.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    'dry-run': { type: 'boolean', default: false },
  },
})
const threads = Number(options.threads)
const header = runHeader({ threads })
const cases = [
  { V: 8192, N: 2048, C: 384 },
  { V: 128_000, N: 8192, C: 64 },
]

const rows: ResultRow[] = []
for (const of of cases) rows.push(...(await measure(of)))
for (const row of rows)
  console.log(`${row.case}: ${row.rate} ${row.unit}${row.share ? ` (${row.share.value} of ${row.share.of})` : ''}`)
if (!options['dry-run']) appendRows('cross-entropy', rows)

async function measure({ V, N, C }: (typeof cases)[number]): Promise<ResultRow[]> {
  const device = await openDevice('wasm', { wasm: { threads } })
  const draw = uniformNumbers(1)
  const numbers = (size: number) => Float32Array.from({ length: size }, () => 2 * draw() - 1)
  const [hiddenData, weightData] = [numbers(N * C), numbers(V * C)]
  const targetData = Int32Array.from({ length: N }, () => Math.floor(draw() * V))
  const [hidden, weight] = [device.tensor(hiddenData, [N, C]), device.tensor(weightData, [V, C])]
  const call = {
    ...{ hidden, weight, targets: device.tensor(targetData, [N]), factor: device.tensor(Float32Array.of(1 / N), [1]) },
    ...{ losses: device.empty([N]), lse: device.empty([N]) },
    ...{ dHidden: device.empty([N, C]), dWeight: device.zeros([V, C]) },
  }
  await device.sync()
  const before = device.memory.allocated
  const plan = crossEntropyScratch({ tokens: N, vocabulary: V, width: C, kind: device.kind, dtype: 'f32' })
  const scratch = {
    logits: device.empty(plan.logits.shape),
    gradient: null,
    partials: plan.partials ? device.empty(plan.partials.shape) : null,
  }
  const loss = () => crossEntropy(device, { ...call, scratch })
  loss()
  const losses = (await call.losses.read()) as Float32Array
  const relativeError = errorOf(losses, hiddenData, weightData, targetData, V, C)
  if (!(relativeError < 1e-5)) throw new Error(`the losses are wrong: relative error ${relativeError}`)
  const extra = device.memory.peak - before

  const chunk = plan.logits.shape[0] as number
  const products = () => {
    for (let from = 0; from < N; from += chunk) threeProducts(from, Math.min(N, from + chunk))
  }
  const threeProducts = (from: number, to: number) => {
    const part = (x: Tensor) => x.slice(0, from, to)
    const size = to - from
    const logits = scratch.logits.view({ shape: [size, V], strides: scratch.logits.strides })
    matmul(device, { a: part(hidden), b: weight, transposeB: true, output: logits })
    const product = { a: logits, b: weight, output: part(call.dHidden) }
    if (scratch.partials)
      matmulInParts(device, {
        ...product,
        partials: scratch.partials.view({ shape: scratch.partials.shape.with(1, size) }),
      })
    else matmul(device, product)
    matmul(device, { a: logits, b: part(hidden), transposeA: true, output: call.dWeight, accumulate: true })
  }
  const times: number[][] = [[], []]
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [at, work] of [loss, products].entries()) {
      const start = performance.now()
      work()
      await device.sync()
      times[at]?.push(performance.now() - start)
    }
  device.dispose()
  const [own = [], plain = []] = times.map((of) => of.toSorted((a, b) => a - b))
  const median = (of: readonly number[]) => of[of.length >> 1] as number
  const base = { ...header, case: `cross-entropy f32 V${V} N${N} C${C}`, system: 'fovea wasm', version: '' }
  return [
    {
      ...{ ...base, unit: 'GFLOP/s', rounds: own.length, relativeError },
      rate: round((6 * N * V * C) / median(own) / 1e6),
      ...{ medianMs: round(median(own)), minMs: round(own[0] as number), maxMs: round(own.at(-1) as number) },
      share: { value: round(median(plain) / median(own)), of: 'its three products alone' },
    },
    { ...{ ...base, unit: 'MB', bar: { most: 64 } }, rate: round(extra / 1e6) },
  ]
}

/** Relative RMS error of the losses of some tokens against float64. */
function errorOf(
  losses: Float32Array,
  hidden: Float32Array,
  weight: Float32Array,
  targets: Int32Array,
  V: number,
  C: number,
): number {
  let [error, norm] = [0, 0]
  for (let n = 0; n < losses.length; n += Math.ceil(losses.length / 7)) {
    const logits = Float64Array.from({ length: V }, (_, v) => {
      let sum = 0
      for (let c = 0; c < C; c++) sum += (hidden[n * C + c] as number) * (weight[v * C + c] as number)
      return sum
    })
    const most = logits.reduce((a, b) => Math.max(a, b))
    const expected =
      most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0)) - (logits[targets[n] as number] as number)
    error += ((losses[n] as number) - expected) ** 2
    norm += expected ** 2
  }
  return Math.sqrt(error / norm)
}

function round(value: number): number {
  return Number(value.toPrecision(4))
}
