// `npm run bench -- train [--device wasm|webgpu] [--precision f32|f16] [--batch 1] [--length 2048] [--steps 5] [--dry-run]`:
// tokens per second of whole training steps of a decoder of 16 M parameters, fresh from a seed, on random tokens.
import { parseArgs } from 'node:util'
import { type DeviceKind, openDevice } from '../src/device/index.ts'
import type { DecoderSpec } from '../src/model/decoder-spec.ts'
import { silu } from '../src/nn/activations.ts'
import { randomNumbers } from '../src/train/data/random-numbers.ts'
import { type BatchSource, type ComputeDType, createTrainableDecoder, createTrainer } from '../src/train/index.ts'
import { adamw } from '../src/train/optimizers/adamw.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'wasm' },
    precision: { type: 'string', default: 'f32' },
    batch: { type: 'string', default: '1' },
    length: { type: 'string', default: '2048' },
    steps: { type: 'string', default: '5' },
    checkpointing: { type: 'string', default: 'none' },
    'dry-run': { type: 'boolean', default: false },
  },
})
const [batch, length, steps] = [options.batch, options.length, options.steps].map(Number) as [number, number, number]
const kind = options.device as DeviceKind
const precision = options.precision as ComputeDType
const device = await openDevice(kind)
const spec = books16m()
const model = await createTrainableDecoder(device, {
  from: { spec, seed: 1 },
  precision,
  checkpointing: options.checkpointing as 'none',
  rule: ({ shape }) => ({ weightDecay: shape.length > 1 ? 0.1 : 0 }),
})
const started = performance.now()
const trainer = await createTrainer({
  device,
  model,
  source: randomTokens(),
  optimizer: adamw({ betas: [0.9, 0.95] }),
  learningRate: 1e-3,
})
const first = await trainer.step()
const firstCallMs = performance.now() - started
const times: number[] = []
// one step ahead, as a run does
let ahead = trainer.step()
for (let step = 0; step < steps; step++) {
  const before = performance.now()
  const next = step + 1 < steps ? trainer.step() : null
  await ahead
  times.push(performance.now() - before)
  if (next) ahead = next
}
times.sort((a, b) => a - b)
const medianMs = times[times.length >> 1] as number
const tokens = batch * length
const bytes = trainer.bytes
const name = `train 16M ${precision} ${batch}x${length}${options.checkpointing === 'none' ? '' : ` ${options.checkpointing}`}`
const header = runHeader(kind === 'webgpu' ? { adapter: device.info.name } : { threads: device.info.threads ?? 1 })
const row: ResultRow = {
  ...header,
  case: name,
  system: `fovea ${kind}`,
  version: 'source',
  unit: 'tokens/s',
  rate: round((1000 * tokens) / medianMs),
  medianMs: round(medianMs),
  minMs: round(times[0] as number),
  maxMs: round(times.at(-1) as number),
  rounds: times.length,
  firstCallMs: round(firstCallMs),
  peakBytes: device.memory.peak,
  bar: { least: kind === 'webgpu' ? 250_000 : 450 },
}
console.log(JSON.stringify(row))
console.error(
  `loss ${first.loss.toFixed(3)}, ${trainer.kernels} kernels, ${model.parameters.size} parameters; MB: ` +
    Object.entries(bytes)
      .map(([what, size]) => `${what} ${Math.round(size / 1e6)}`)
      .join(', '),
)
if (!options['dry-run']) appendRows('train', [row])
trainer.dispose()
model.dispose()
device.dispose()

/** 8 layers of 384, 6 heads and 2 of keys and values of 64, MLP 1,024, 8,192 tokens, tied. */
function books16m(): DecoderSpec {
  const norm = { kind: 'rms', eps: 1e-5, offset: 0, bias: false } as const
  const headDim = 64
  const inverseFrequencies = Array.from({ length: headDim / 2 }, (_, i) => 10_000 ** (-(2 * i) / headDim))
  const layer = {
    attention: {
      ...{ numHeads: 6, numKvHeads: 2, headDim, scale: 1 / 8, softCap: null, window: null },
      rope: { rotaryDim: headDim, interleaved: false, inverseFrequencies, attentionFactor: 1 },
      ...{ qkNorm: null, qkvBias: false, outputBias: false },
    },
    mlp: { size: 1024, activation: silu, gated: true, bias: false },
    norms: { beforeAttention: norm, afterAttention: null, beforeMlp: norm, afterMlp: null },
    parallel: false,
  }
  return {
    ...{ architecture: 'llama', vocabSize: 8192, hiddenSize: 384, maxPositions: 65_536 },
    embedding: { scale: 1, learnedPositions: false },
    layers: Array.from({ length: 8 }, () => layer),
    finalNorm: norm,
    logits: { softCap: null, tied: true, bias: false },
    ...{ bosToken: null, eosTokens: [] },
  }
}

function randomTokens(): BatchSource {
  const random = randomNumbers(1)
  return {
    batch,
    length,
    next() {
      const tokens = Int32Array.from({ length: batch * length + 1 }, () => random.below(spec.vocabSize))
      return { inputs: tokens.slice(0, -1), targets: tokens.slice(1) }
    },
    state: () => null,
    restore() {},
  }
}

function round(value: number): number {
  return Number(value.toPrecision(4))
}
