import { parseArgs } from 'node:util'
import { prepareTrainableAttention } from '../src/attention/index.ts'
import { causal } from '../src/attention/masks/index.ts'
import { flashBackwardReference } from '../src/attention/softmax/backward/flash-backward.reference.ts'
import { type Device, openDevice, type Tensor } from '../src/device/index.ts'
import { floatingOperations, problemName, randomInputs } from './attention-problem.ts'
import type { AttentionShape } from './peers/peer.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'

// Forward and backward of one causal problem in turn; the backward counts as 2.5 forwards, though it computes 3.5.

const { values: options } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1024,4096,16384' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    'dry-run': { type: 'boolean', default: false },
  },
})
const threads = Number(options.threads)
const device = await openDevice('wasm', { wasm: { threads } })
const header = { ...runHeader({ threads }), system: 'fovea', version: 'sources' }
const rows: ResultRow[] = []
const relativeError = await errorOf({ batch: 1, numHeads: 2, tokens: 300, headDim: 64, causal: true })
if (!(relativeError < 2e-6)) throw new Error(`the gradients are wrong: relative error ${relativeError}`)
for (const tokens of options.tokens.split(',').map(Number))
  rows.push(...(await measure({ batch: 1, numHeads: 8, tokens, headDim: 64, causal: true })))
device.dispose()
console.table(
  rows.map(({ case: name, rate, unit, minMs, medianMs, maxMs }) => ({ name, rate, unit, minMs, medianMs, maxMs })),
)
if (!options['dry-run']) appendRows('cpu', rows)

async function measure(shape: AttentionShape): Promise<ResultRow[]> {
  const { tensors, forward, backward, scratchBytes, dispose } = await problem(device, shape)
  const given = Object.values(tensors).reduce((sum, { size }) => sum + 4 * size, 0)
  const parts = [
    { name: 'forward', run: forward, operations: floatingOperations(shape), times: [] as number[] },
    { name: 'backward', run: backward, operations: 2.5 * floatingOperations(shape), times: [] as number[] },
  ]
  for (let round = 0; round <= Number(options.rounds); round++)
    for (const { run, times } of parts) {
      const start = performance.now()
      run()
      await device.sync()
      // the first round compiles
      if (round > 0) times.push(performance.now() - start)
    }
  const beyond = Math.max(device.memory.peak - given, scratchBytes)
  dispose()
  const base = { ...header, relativeError: Number(relativeError.toPrecision(2)) }
  const found: ResultRow[] = parts.map(({ name, operations, times }) => {
    times.sort((a, b) => a - b)
    const medianMs = times[times.length >> 1] as number
    return {
      ...base,
      case: `${problemName(shape)}, ${name} for training`,
      unit: 'GFLOP/s',
      rate: round(operations / medianMs / 1e6),
      medianMs: round(medianMs),
      minMs: round(times[0] as number),
      maxMs: round(times.at(-1) as number),
      rounds: times.length,
      ...(name === 'backward' && shape.tokens === 4096 && { bar: { least: 45 } }),
    }
  })
  const memory = {
    ...base,
    case: `${problemName(shape)}, memory beyond tensors`,
    unit: 'MB',
    rate: round(beyond / 1e6),
  }
  return [...found, { ...memory, ...(shape.tokens === 16384 && { bar: { most: 96 } }) } as ResultRow]
}

async function problem(on: Device, shape: AttentionShape) {
  const { batch, tokens, numHeads, headDim } = shape
  const sizes = [batch, tokens, numHeads, headDim]
  const inputs = randomInputs(shape)
  const dOutput = randomInputs(shape, 2).query
  const empty = () => on.empty(sizes)
  const tensors = {
    ...{ query: on.tensor(inputs.query, sizes), key: on.tensor(inputs.key, sizes) },
    ...{ value: on.tensor(inputs.value, sizes), dOutput: on.tensor(dOutput, sizes) },
    ...{ output: empty(), lse: on.empty([batch, numHeads, tokens]) },
    ...{ dQuery: empty(), dKey: empty(), dValue: empty() },
  }
  const prepared = await prepareTrainableAttention(on, { ...tensors, maskMod: causal })
  return {
    host: { ...inputs, dOutput },
    tensors,
    forward: () => prepared.forward(tensors),
    backward: () => prepared.backward(tensors),
    scratchBytes: prepared.scratchBytes,
    dispose() {
      prepared.dispose()
      for (const tensor of Object.values<Tensor>(tensors)) tensor.dispose()
    },
  }
}

/** Largest relative RMS error of the three gradients against float64. */
async function errorOf(shape: AttentionShape): Promise<number> {
  const own = await openDevice('wasm', { wasm: { threads } })
  const { host, tensors, forward, backward } = await problem(own, shape)
  forward()
  backward()
  const { batch, tokens, numHeads, headDim } = shape
  const sizes = { queries: tokens, keys: tokens, numHeads, numKvHeads: numHeads, headDim, valueDim: headDim }
  const wanted = flashBackwardReference({ batch, ...sizes, ...host, allowed: ({ q, k }) => k <= q }, host.dOutput)
  const errors: number[] = []
  for (const name of ['dQuery', 'dKey', 'dValue'] as const) {
    const got = await tensors[name].read()
    let [error, norm] = [0, 0]
    wanted[name].forEach((x, i) => {
      error += (x - (got[i] as number)) ** 2
      norm += x ** 2
    })
    errors.push(Math.sqrt(error / norm))
  }
  own.dispose()
  return Math.max(...errors)
}

function round(value: number): number {
  return Number(value.toPrecision(4))
}
