import type { AttentionRequest } from '../../src/attention/index.ts'
import { attention } from '../../src/attention/index.ts'
import type { ReferenceInput } from '../../src/attention/softmax/flash.reference.ts'
import { flashReference } from '../../src/attention/softmax/flash.reference.ts'
import type { Device, Tensor } from '../../src/device/device.ts'
import { roundTo } from '../../src/ir/narrow-float.ts'
import { closenessFault } from './closeness.ts'
import { naiveAttention } from './naive-attention.ts'

export type FloatDType = 'f32' | 'f16' | 'bf16'

/** Inputs on the host, [B, T, H, D], and what goes to the device beside them. */
export interface CaseInput extends ReferenceInput {
  readonly request: (device: Device) => Omit<
    AttentionRequest,
    'query' | 'key' | 'value' | 'sinks' | 'output' | 'lse'
  > & {
    /** tensors made for the hooks, to be freed afterwards */
    readonly made?: readonly Tensor[]
  }
  /** what the outcome must be; by default the float64 reference on the inputs rounded to the dtype */
  readonly golden?: { readonly output: ArrayLike<number>; readonly lse: ArrayLike<number> | null }
}

const guard = 64

/**
 * Runs one input on a device and holds output and lse to the float64 reference; tensors lie as [B, H, T, D] seen as
 * [B, T, H, D], outputs start as NaN with guards on both sides. Returns every fault found. Runs in Node and in browsers.
 */
export async function attentionFaults(
  device: Device,
  input: CaseInput,
  dtype: FloatDType,
  tiling?: AttentionRequest['tiling'],
): Promise<string[]> {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim } = input
  const rounded = (data: ArrayLike<number>) => Float64Array.from(data, (x) => roundTo(dtype, x))
  const host: ReferenceInput = {
    ...input,
    query: rounded(input.query),
    key: rounded(input.key),
    value: rounded(input.value),
  }
  const headsFirst = (data: ArrayLike<number>, tokens: number, heads: number, width: number) =>
    device
      .tensor(
        Float32Array.from(swapTokensAndHeads(data, batch, tokens, heads, width)),
        [batch, heads, tokens, width],
        dtype,
      )
      .transpose(1, 2)
  const query = headsFirst(host.query, queries, numHeads, headDim)
  const key = headsFirst(host.key, keys, numKvHeads, headDim)
  const value = headsFirst(host.value, keys, numKvHeads, valueDim)
  const sinks = input.sinks ? device.tensor(Float32Array.from(input.sinks), [numHeads]) : undefined
  const output = guarded(device, [batch, numHeads, queries, valueDim], dtype)
  const lse = guarded(device, [batch, numHeads, queries], 'f32')
  const { made = [], ...options } = input.request(device)
  await attention(device, {
    query,
    key,
    value,
    ...options,
    ...(sinks && { sinks }),
    ...(tiling && { tiling }),
    output: output.tensor.transpose(1, 2),
    lse: lse.tensor,
  })
  const [gotOutput, gotLse] = [await output.read(), await lse.read()]
  for (const tensor of [query, key, value, ...(sinks ? [sinks] : []), ...made]) tensor.dispose()

  const reference = input.golden && dtype === 'f32' ? input.golden : flashReference(host)
  const naive = naiveAttention(host, dtype)
  const faults = [...output.faults, ...lse.faults]
  const expected = swapTokensAndHeads(reference.output, batch, queries, numHeads, valueDim)
  const naiveOutput = swapTokensAndHeads(naive.output, batch, queries, numHeads, valueDim)
  const close = [closenessFault({ name: 'output', dtype, got: gotOutput, expected, naive: naiveOutput })]
  if (reference.lse && (input.normalizer ?? 'softmax') === 'softmax')
    close.push(closenessFault({ name: 'lse', dtype, got: gotLse, expected: reference.lse, naive: naive.lse }))
  else if (gotLse.some(Number.isNaN)) faults.push('lse: NaN')
  for (const fault of close) if (fault) faults.push(fault)
  return faults
}

/** [B, T, H, D] → [B, H, T, D], and back with tokens and heads exchanged. */
export function swapTokensAndHeads(
  data: ArrayLike<number>,
  batch: number,
  tokens: number,
  heads: number,
  width: number,
): Float64Array {
  const swapped = new Float64Array(data.length)
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < tokens; t++)
      for (let h = 0; h < heads; h++)
        for (let d = 0; d < width; d++)
          swapped[((b * heads + h) * tokens + t) * width + d] = data[
            ((b * tokens + t) * heads + h) * width + d
          ] as number
  return swapped
}

/** A tensor of NaN with guards before and after it; `read` notes what was written outside. */
export function guarded(device: Device, shape: readonly number[], dtype: FloatDType) {
  const size = shape.reduce((product, length) => product * length, 1)
  const whole = device.tensor(new Float32Array(size + 2 * guard).fill(Number.NaN), [size + 2 * guard], dtype)
  const faults: string[] = []
  return {
    tensor: whole.view({ shape, offset: guard }),
    faults,
    async read(): Promise<Float32Array> {
      const all = (await whole.read()) as Float32Array
      const outside = all.findIndex((x, i) => (i < guard || i >= guard + size) && !Number.isNaN(x))
      if (outside >= 0) faults.push(`a write outside [${shape.join(', ')}], at ${outside - guard}`)
      whole.dispose()
      return all.subarray(guard, guard + size)
    },
  }
}
