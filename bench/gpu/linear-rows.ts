import { relativeError } from '../../src/cli/exact-row.ts'
import { randomNormal } from '../../src/cli/random-normal.ts'
import type { Device, Tensor } from '../../src/device/index.ts'
import { dequantizeRows, quantizeMatrix } from '../../src/nn/block-formats/matrix-values.ts'
import { linear } from '../../src/nn/linear.ts'
import { type LinearWeight, placeLinear } from '../../src/nn/place-linear.ts'
import type { MatrixData, WeightDType } from '../../src/nn/weight-data.ts'
import { type GpuRow, measured, round } from './gpu-row.ts'
import type { GpuSizes } from './gpu-sizes.ts'
import { interleavedTimes } from './interleaved-times.ts'

/** distinct rows of a weight, repeated: what is to be read is as much, and is made in no time */
const distinctRows = 64

/**
 * Linear layers of few rows, which are bound by memory: counted are the bytes of the weight. A round multiplies by as many
 * copies of it as no cache holds. Then of many rows, counted in operations.
 */
export async function linearRows(device: Device, sizes: GpuSizes['linear']): Promise<GpuRow[]> {
  const rows: GpuRow[] = []
  for (const { K, M } of sizes.shapes)
    for (const dtype of sizes.dtypes) {
      const pattern = quantizeMatrix(randomNormal(distinctRows * K, 1), distinctRows, K, dtype)
      const matrix = repeated(pattern, M)
      const copies = Math.max(1, Math.ceil(sizes.poolBytes / matrix.bytes.byteLength))
      const weights = Array.from({ length: copies }, (_, i) =>
        placeLinear(device, { parts: [matrix], name: `copy ${i}` }),
      )
      const values = dequantizeRows(pattern)
      for (const N of sizes.rows) rows.push(await oneRow(device, weights, values, dtype, N))
      for (const weight of weights) weight.dispose()
    }
  return rows
}

async function oneRow(
  device: Device,
  weights: readonly LinearWeight[],
  values: Float32Array,
  dtype: WeightDType,
  N: number,
): Promise<GpuRow> {
  const [{ inFeatures: K, outFeatures: M, byteLength }] = weights as readonly [LinearWeight]
  const halves = device.info.tier !== null && device.info.tier >= 2
  const data = randomNormal(N * K, 2)
  const x = device.tensor(data, [N, K], halves ? 'f16' : 'f32')
  const output = device.empty([N, M], halves ? 'f16' : 'f32')
  const run = () => {
    for (const weight of weights) linear(device, { x, weight, output })
  }
  run()
  const error = await checkOutput(output, await x.read(), values, K, halves ? 2e-3 : 1e-5)
  const [times] = await interleavedTimes(device, [run])
  x.dispose()
  output.dispose()
  const name = `linear ${dtype} ${K} → ${M}, ${N} ${N === 1 ? 'row' : 'rows'}`
  const shared = { case: name, system: 'fovea', relativeError: round(error) }
  return N <= 16
    ? { ...shared, unit: 'GB/s', ...measured(times!, weights.length * byteLength, 1e9) }
    : { ...shared, unit: 'TFLOP/s', ...measured(times!, weights.length * 2 * N * K * M, 1e12) }
}

/** The relative error of the first row's first and last outputs; throws beyond `bound`. */
async function checkOutput(output: Tensor, x: ArrayLike<number>, values: Float32Array, K: number, bound: number) {
  const row = output.slice(0, 0, 1)
  const got = await row.read()
  row.dispose()
  const [actual, expected]: [number[], number[]] = [[], []]
  for (let i = 0; i < distinctRows; i++)
    for (const m of [i, got.length - distinctRows + i]) {
      let sum = 0
      for (let k = 0; k < K; k++) sum += x[k]! * values[(m % distinctRows) * K + k]!
      actual.push(got[m]!)
      expected.push(sum)
    }
  const error = relativeError(actual, expected)
  if (!(error <= bound)) throw new Error(`linear is wrong: relative error ${error.toExponential(2)}, at most ${bound}`)
  return error
}

function repeated({ dtype, cols, bytes }: MatrixData, rows: number): MatrixData {
  const all = new Uint8Array((bytes.byteLength / distinctRows) * rows)
  for (let at = 0; at < all.length; at += bytes.length) all.set(bytes.subarray(0, all.length - at), at)
  return { dtype, rows, cols, bytes: all }
}
