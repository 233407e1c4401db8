import { parseArgs } from 'node:util'
import { textTable } from '../src/cli/text-table.ts'
import { openDevice } from '../src/device/index.ts'
import { weightFormats } from '../src/nn/block-formats/weight-formats.ts'
import { linear } from '../src/nn/linear.ts'
import { placeLinear } from '../src/nn/place-linear.ts'
import { type MatrixData, rowBytes, type WeightDType } from '../src/nn/weight-data.ts'
import { randomNumbers } from '../test/numerics/random.ts'
import { randomBlocks } from '../test/numerics/random-blocks.ts'
import { interleavedTimes } from './gpu/interleaved-times.ts'

// Products with weights of every format, all in turn: bytes of the weight in a second, and the least time of each against Q4_K's.
const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'wasm' },
    threads: { type: 'string', default: '2' },
    inputs: { type: 'string', default: '2048' },
    outputs: { type: 'string', default: '4096' },
    rows: { type: 'string', default: '1,4,64' },
    /** bytes of copies of each weight that a round reads */
    pool: { type: 'string', default: '64000000' },
    formats: { type: 'string', default: '' },
    rounds: { type: 'string', default: '9' },
  },
})
const kind = options.device === 'webgpu' ? 'webgpu' : 'wasm'
const device = await openDevice(kind, kind === 'wasm' ? { wasm: { threads: Number(options.threads) } } : {})
const [K, M] = [Number(options.inputs), Number(options.outputs)]
const chosen = options.formats === '' ? [] : options.formats.split(',')
const dtypes = (Object.keys(weightFormats) as WeightDType[]).filter(
  (dtype) => weightFormats[dtype].elements > 1 && (chosen.length === 0 || chosen.includes(dtype)),
)
/** distinct rows of a weight, repeated */
const distinct = 64
const weights = dtypes.map((dtype) => {
  const pattern = randomBlocks(dtype, distinct, K, randomNumbers(1))
  const bytes = new Uint8Array(M * rowBytes('bench', dtype, K))
  for (let at = 0; at < bytes.length; at += pattern.bytes.length) bytes.set(pattern.bytes, at)
  const matrix: MatrixData = { dtype, rows: M, cols: K, bytes }
  const begin = performance.now()
  const first = placeLinear(device, { parts: [matrix], name: dtype })
  const placeMs = performance.now() - begin
  const copies = Math.max(1, Math.ceil(Number(options.pool) / bytes.length))
  const rest = Array.from({ length: copies - 1 }, () => placeLinear(device, { parts: [matrix], name: dtype }))
  return { dtype, bytes: bytes.length, placeMs, copies: [first, ...rest] }
})
console.log(`${device.info.name}: ${K} inputs, ${M} outputs, ${kind === 'wasm' ? `${options.threads} threads` : 'f16'}`)
for (const N of options.rows.split(',').map(Number)) {
  const dtype = kind === 'webgpu' && (device.info.tier ?? 0) >= 2 ? 'f16' : 'f32'
  const x = device.tensor(Float32Array.from({ length: N * K }, randomNumbers(2)), [N, K], dtype)
  const output = device.empty([N, M], dtype)
  const times = await interleavedTimes(
    device,
    weights.map(({ copies }) => () => {
      for (const weight of copies) linear(device, { x, weight, output })
    }),
    { rounds: Number(options.rounds), limitMs: 60_000 },
  )
  const each = weights.map(({ copies }, i) => (times[i]?.minMs ?? 0) / copies.length)
  const base = each[dtypes.indexOf('q4_k')] ?? each[0] ?? 1
  console.log(`\n${N} ${N === 1 ? 'row' : 'rows'}`)
  console.log(
    textTable([
      ['format', 'bits', 'µs', 'GB/s', 'against q4_k', 'placed, ns an element'],
      ...weights.map(({ dtype: format, bytes, placeMs }, i) => [
        format,
        ((8 * bytes) / (M * K)).toFixed(2),
        (1000 * (each[i] ?? 0)).toFixed(1),
        (bytes / (each[i] ?? 1) / 1e6).toFixed(1),
        ((each[i] ?? 0) / base).toFixed(2),
        ((1e6 * placeMs) / (M * K)).toFixed(2),
      ]),
    ]),
  )
  x.dispose()
  output.dispose()
}
device.dispose()
