import { attention } from '../attention/index.ts'
import { causal } from '../attention/masks/index.ts'
import type { Device, Tensor } from '../device/device.ts'
import { exactRow, naiveF32, relativeError } from './exact-row.ts'
import { randomNormal } from './random-normal.ts'

/** Causal self-attention in f32: query, key and value are [1, tokens, numHeads, headDim]. */
export interface TrialShape {
  readonly tokens: number
  readonly numHeads: number
  readonly headDim: number
}

export interface TrialOptions {
  /** timed calls (5); on a device so slow that 15 s pass, fewer, at least one */
  readonly repeats?: number
  /** output rows checked against float64 (48) */
  readonly rows?: number
  /** called when inputs lie on the device, before the first call */
  readonly onReady?: () => void
  /** called after the first call, whose result is complete */
  readonly onFirstCall?: () => void
}

export interface Trial {
  /** compilation included */
  readonly firstCallMs: number
  readonly medianMs: number
  /** timed calls, of which the median is given */
  readonly repeats: number
  readonly clock: 'device' | 'wall'
  /** the work that the causal mask leaves, per second */
  readonly gigaflops: number
  /** relative RMS error of the sampled rows against float64, and the most it may be */
  readonly error: number
  readonly bound: number
  readonly checkedRows: number
  readonly inputBytes: number
  readonly outputBytes: number
  /** what the device allocated in the call beyond inputs and outputs */
  readonly extraDeviceBytes: number
}

/**
 * One causal attention on a device, checked and timed. The error's bound is STYLE's: twice that of naive f32 loops on the
 * same rows, at least 1e-6. A wrong result is not timed: `medianMs` and `gigaflops` are then NaN.
 */
export async function attentionTrial(device: Device, shape: TrialShape, options: TrialOptions = {}): Promise<Trial> {
  const { tokens, numHeads, headDim } = shape
  const dims = [1, tokens, numHeads, headDim]
  const count = tokens * numHeads * headDim
  const [queryData, keyData, valueData] = [1, 2, 3].map((seed) => randomNormal(count, seed)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ]
  const inputs = {
    query: device.tensor(queryData, dims),
    key: device.tensor(keyData, dims),
    value: device.tensor(valueData, dims),
  }
  await device.sync()
  const allocatedBefore = device.memory.allocated
  options.onReady?.()

  const call = async () => await attention(device, { ...inputs, maskMod: causal })
  const start = performance.now()
  const { output, lse } = await call()
  await device.sync()
  const firstCallMs = performance.now() - start
  const peak = device.memory.peak
  options.onFirstCall?.()
  const outputBytes = 4 * (count + tokens * numHeads)

  const checked = await checkRows(
    output,
    { query: queryData, key: keyData, value: valueData },
    shape,
    options.rows ?? 48,
  )
  output.dispose()
  lse.dispose()

  const times: number[] = []
  let clock: 'device' | 'wall' = 'wall'
  const deadline = performance.now() + 15_000
  if (checked.error <= checked.bound)
    for (let round = 0; round < (options.repeats ?? 5); round++) {
      if (round > 0 && performance.now() > deadline) break
      const timed = await device.time(async () => {
        const result = await call()
        result.output.dispose()
        result.lse.dispose()
      })
      clock = timed.clock
      times.push(timed.nanoseconds / 1e6)
    }
  times.sort((a, b) => a - b)
  const medianMs = times[times.length >> 1] ?? Number.NaN
  for (const tensor of Object.values(inputs)) tensor.dispose()
  return {
    firstCallMs,
    medianMs,
    repeats: times.length,
    clock,
    gigaflops: (2 * numHeads * tokens * tokens * headDim) / medianMs / 1e6,
    ...checked,
    inputBytes: 3 * 4 * count,
    outputBytes,
    extraDeviceBytes: Math.max(0, peak - allocatedBefore - outputBytes),
  }
}

/** Rows spread over tokens and heads, first and last token among them. */
async function checkRows(
  output: Tensor,
  data: { readonly query: Float32Array; readonly key: Float32Array; readonly value: Float32Array },
  { tokens, numHeads, headDim }: TrialShape,
  rows: number,
): Promise<{ error: number; bound: number; checkedRows: number }> {
  const result = await output.read()
  const [actual, expected, naive]: [number[], number[], number[]] = [[], [], []]
  for (let i = 0; i < rows; i++) {
    const token = Math.round((i * (tokens - 1)) / Math.max(1, rows - 1))
    const head = i % numHeads
    const at = (t: number) => (t * numHeads + head) * headDim
    const row = {
      query: data.query.subarray(at(token), at(token) + headDim),
      keys: data.key,
      keyAt: at,
      values: data.value,
      valueAt: at,
      valueDim: headDim,
      from: 0,
      to: token + 1,
      scale: 1 / Math.sqrt(headDim),
    }
    for (let d = 0; d < headDim; d++) actual.push(result[at(token) + d] as number)
    expected.push(...exactRow(row))
    naive.push(...exactRow(row, naiveF32))
  }
  const bound = Math.max(1e-6, 2 * relativeError(naive, expected))
  return { error: relativeError(actual, expected), bound, checkedRows: rows }
}
